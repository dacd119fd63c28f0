"""`kefu audit`: prove the log, look back, follow a message."""

import typer

from interfaces.cli import audit_replay, audit_trace

app = typer.Typer(
    name="audit",
    help="Prove the log, look back, follow a message.",
    no_args_is_help=True,
    add_completion=False,
)

app.command("replay")(audit_replay.replay)
app.command("trace")(audit_trace.trace)
