"""`kefu demo`: fills a running kefu with conversations, through its public API."""

import typer


def demo() -> None:
    """Fill a running kefu with realistic conversations."""
    raise typer.Exit(0)
