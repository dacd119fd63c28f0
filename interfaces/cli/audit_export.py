"""`kefu audit export`."""

import asyncio
from pathlib import Path
from typing import Annotated

import typer

from interfaces import shapes
from interfaces.bootstrap import audit_operations, past_operations
from interfaces.bootstrap.audit_operations import Chosen
from interfaces.cli.options import AsJson, DataDir, settings_for
from interfaces.cli.output import fail, out, print_json, progress_bar

_WAIT_S = 10.0
_MOMENT = "2026-11-26T08:00:00Z"


def export(
    output: Annotated[Path, typer.Option("--output", "-o", help="The zip file to write.")],
    data_dir: DataDir = None,
    first: Annotated[int | None, typer.Option("--from", min=1, help="First position.")] = None,
    last: Annotated[int | None, typer.Option("--to", min=1, help="Last position.")] = None,
    since: Annotated[str | None, typer.Option(help=f"First moment, as {_MOMENT}.")] = None,
    until: Annotated[str | None, typer.Option(help="Last moment.")] = None,
    conversation: Annotated[
        str | None, typer.Option(help="Only this conversation with its messages.")
    ] = None,
    types: Annotated[
        str, typer.Option(help="Stored names, by commas; `message.*` for a family.")
    ] = "",
    categories: Annotated[str, typer.Option(help="Kinds of streams, by commas.")] = "",
    as_json: AsJson = False,
) -> None:
    """Write a period, or what passes the filters, to an archive that proves itself.

    A running core writes the export down first, as an event.
    """
    chosen = Chosen(
        first,
        last,
        _moment("--since", since),
        _moment("--until", until),
        _names(types),
        _names(categories),
        conversation,
    )
    settings = settings_for(data_dir)
    filters = {
        "from": str(first or ""),
        "to": str(last or ""),
        "since": since or "",
        "until": until or "",
        "conversation": conversation or "",
        "types": types,
        "categories": categories,
    }
    given = {key: value for key, value in filters.items() if value}
    asyncio.run(past_operations.record_export(settings, "audit/export", given))
    with progress_bar("export", quiet=as_json) as progress:
        report = audit_operations.export(settings, output, chosen, _WAIT_S, progress)
    if as_json:
        print_json(report)
        return
    out.print(
        f"{report.events:,} events of {report.first} to {report.last} in {report.file}\n"
        f"proven by the checkpoint of {report.size:,} events of {report.origin}; to check it:\n"
        f"  python -m zipfile -e {report.file} archive\n"
        f'  python verify.py {report.file} "$(kefu audit key)"',
        markup=False,
        highlight=False,
    )


def _moment(option: str, text: str | None) -> int | None:
    if text is None:
        return None
    try:
        return shapes.parse_time(text)
    except ValueError as error:
        raise fail(f"{option} {text}: {error}; give it as {_MOMENT}", 2) from None


def _names(text: str) -> tuple[str, ...]:
    return tuple(name for name in text.replace(" ", "").split(",") if name)
