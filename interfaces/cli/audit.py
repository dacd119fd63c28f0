"""`kefu audit`: prove to an outsider what history was, look back, follow a message."""

import typer

from interfaces.cli import (
    audit_export,
    audit_receipts,
    audit_replay,
    audit_trace,
    audit_verify,
)

app = typer.Typer(
    name="audit",
    help="Prove what the log holds and check it without a server; look back; follow a message.",
    no_args_is_help=True,
    add_completion=False,
)

app.command("verify")(audit_verify.verify)
app.command("checkpoint")(audit_verify.checkpoint)
app.command("key")(audit_verify.key)
app.command("prove")(audit_receipts.prove)
app.command("verify-receipt")(audit_receipts.verify_receipt)
app.command("export")(audit_export.export)
app.command("replay")(audit_replay.replay)
app.command("trace")(audit_trace.trace)
