"""How the command line speaks: tables for people, JSON for machines, one clear line for errors."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import msgspec
import typer
from rich.console import Console

out = Console(soft_wrap=True)
err = Console(stderr=True, soft_wrap=True)


def fail(message: str, status: int) -> typer.Exit:
    """Print one line on standard error; raise what this returns."""
    err.print(f"kefu: {' '.join(message.split())}", markup=False, highlight=False)
    return typer.Exit(status)


def print_json(value: Any) -> None:
    """Any msgspec type as one line of JSON."""
    typer.echo(msgspec.json.encode(value).decode())


@contextmanager
def progress_bar(
    title: str, *, quiet: bool, late: bool = False
) -> Iterator[Callable[[int, int], None]]:
    """A function (done, total) that moves a bar on standard error.

    Args:
        late: Show it only when it is moved, because mostly there is nothing to wait for.
    """
    if quiet:
        yield lambda done, total: None
        return
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (
        TextColumn("[progress.description]{task.description}"),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f} %"),
        TimeRemainingColumn(),
    )
    progress = Progress(*columns, console=err)
    task = progress.add_task(title, total=None)

    def move(done: int, total: int) -> None:
        progress.start()
        progress.update(task, completed=done, total=max(total, 1))

    if not late:
        progress.start()
    try:
        yield move
    finally:
        if progress.live.is_started:
            progress.stop()
