"""`kefu audit trace`: where a message has been."""

import asyncio
from typing import Annotated, Any

import typer

from application.queries import trace as tracing
from interfaces import audit_shapes
from interfaces.bootstrap import keys, past_operations
from interfaces.cli.options import AsJson, DataDir, settings_for
from interfaces.cli.output import out, print_json, progress_bar
from interfaces.settings import Settings


def trace(
    message: Annotated[str, typer.Argument(help="The message's id.")],
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Follow a message: received, decided, on disk, projected, pushed, delivered, read, mirrored.

    Where a time is not known, the reason and the bounds that are known stand in its place.
    """
    settings = settings_for(data_dir)
    with progress_bar("read the log", quiet=as_json, late=True) as progress:
        found = asyncio.run(_trace(settings, message, progress))
    print_json(found) if as_json else _show(found)


async def _trace(settings: Settings, id: str, progress: Any) -> dict[str, Any]:
    opener = keys.opener(settings)
    async with past_operations.streams(settings, progress) as streams:
        sent, _ = await tracing.sent_event(streams, opener, id)
        views = await past_operations.projection_of(settings, sent.position)
        return audit_shapes.message_trace(await tracing.trace(streams, opener, id, views))


def _show(found: dict[str, Any]) -> None:
    out.print(
        f"message {found['message_id']}, number {found['seq']} of conversation"
        f" {found['conversation_id']}, position {found['position']}",
        highlight=False,
    )
    for stop in found["stations"]:
        gap, reader = stop["gap"], stop["reader"]
        who = "" if reader is None else f"{reader['name'] or reader['id']} ({reader['kind']})"
        why = "" if gap is None else gap["en"] + (f": {gap['detail']}" if gap["detail"] else "")
        parts = (f"{stop['station']:<10} {stop['state']:<15}", _time(stop), who, why)
        out.print("  ".join(filter(None, parts)), markup=False, highlight=False)


def _time(stop: dict[str, Any]) -> str:
    if stop["at"] is not None:
        return str(stop["at"])
    bounds = (("after", stop["not_before"]), ("before", stop["not_after"]))
    return ", ".join(f"{word} {time}" for word, time in bounds if time is not None)
