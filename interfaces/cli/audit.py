"""`kefu audit`: prove to an outsider what history was, and check such a proof."""

import typer

from interfaces.cli import audit_export, audit_receipts, audit_verify

app = typer.Typer(
    name="audit",
    help="Prove what the log holds, and check it without a server.",
    no_args_is_help=True,
    add_completion=False,
)

app.command("verify")(audit_verify.verify)
app.command("checkpoint")(audit_verify.checkpoint)
app.command("key")(audit_verify.key)
app.command("prove")(audit_receipts.prove)
app.command("verify-receipt")(audit_receipts.verify_receipt)
app.command("export")(audit_export.export)
