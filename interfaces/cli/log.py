"""`kefu log`: look at the event log, check it, copy it."""

import asyncio
import contextlib
from pathlib import Path
from typing import Annotated, Any, Final

import msgspec
import typer
from rich.table import Table

from application import codec
from application.ports.event_store import RecordedEvent
from application.queries.feed import FeedCursor
from application.sealing import Opener
from interfaces import shapes
from interfaces.bootstrap import keys, log_operations, past_operations
from interfaces.cli import log_archive, log_backup
from interfaces.cli.options import AsJson, DataDir, settings_for
from interfaces.cli.output import fail, out, print_json, progress_bar

app = typer.Typer(
    name="log",
    help="Look at the event log, check it, copy it.",
    no_args_is_help=True,
    add_completion=False,
)

app.command("archive")(log_archive.archive)
app.command("backup")(log_backup.backup)
app.command("restore")(log_backup.restore)

After = Annotated[int, typer.Option(min=0, help="Begin after this position.")]
Since = Annotated[
    str | None, typer.Option(help="Begin at this moment: `2026-11-26T08:00:00Z`, or +08:00.")
]
Types = Annotated[
    str, typer.Option(help="Only these types, separated by commas; `message.*` for a family.")
]
Categories = Annotated[
    str, typer.Option(help="Only these kinds of streams: `conversation,message`.")
]
Sealed = Annotated[
    bool, typer.Option("--sealed", help="Personal fields as they are stored; needs no keys.")
]
_WAIT_S: Final = 60.0


@app.command()
def info(data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """Segments, sizes and the durable position."""
    found = log_operations.info(settings_for(data_dir))
    if as_json:
        print_json(found)
        return
    out.print(f"log in {found.directory}: position {found.durable_position}, {found.bytes:,} bytes")
    table = Table("segment", "positions", "bytes", "state")
    for row in found.segments:
        last = "" if row.last_position is None else str(row.last_position)
        table.add_row(
            row.name,
            f"{row.first_position} to {last}",
            f"{row.bytes:,}",
            "archived" if row.remote else "sealed" if row.sealed else "open",
        )
    out.print(table)


@app.command()
def verify(data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """Check every frame, footer, hash and the chain of segments; exit 1 if something is wrong."""
    settings = settings_for(data_dir)
    with progress_bar("verify", quiet=as_json) as progress:
        report = log_operations.verify(settings, progress)
    if as_json:
        print_json(report)
    else:
        for finding in report.findings:
            out.print(
                f"{finding.segment} at byte {finding.offset}, position {finding.position}:"
                f" {finding.reason} ({finding.code})"
            )
        verdict = "intact" if report.ok else "NOT intact"
        out.print(f"{report.events:,} events in {report.segments} segments: {verdict}")
        if report.remote:
            out.print(f"{len(report.remote)} of them from the archive: {', '.join(report.remote)}")
    if not report.ok:
        raise typer.Exit(1)


@app.command()
def tail(
    data_dir: DataDir = None,
    lines: Annotated[int, typer.Option("--lines", "-n", min=1, help="How many.")] = 20,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on until Ctrl-C.")] = False,
    types: Types = "",
    categories: Categories = "",
    sealed: Sealed = False,
    as_json: AsJson = False,
) -> None:
    """The last events, or the last of those that pass the filters."""
    settings = settings_for(data_dir)
    opener = None if sealed else keys.opener(settings)
    with (
        contextlib.closing(log_operations.feed(settings)) as feed,
        contextlib.suppress(KeyboardInterrupt),  # how --follow is meant to end
    ):
        cursor = FeedCursor(feed, 0, _names(types), _names(categories))
        cursor.go_back(lines)
        while True:
            for event in cursor.to_end():
                if as_json:
                    print_json(stored_event(event, opener))
                else:
                    _show(event)
            if not follow:
                return
            feed.wait(cursor.position, _WAIT_S)


@app.command()
def export(
    data_dir: DataDir = None,
    after: After = 0,
    since: Since = None,
    types: Types = "",
    categories: Categories = "",
    sealed: Sealed = False,
) -> None:
    """All events after a position or a moment, or those that pass the filters, as JSON lines.

    A running core writes the export down first, as an event.
    """
    try:
        moment = shapes.parse_time(since) if since is not None else None
    except ValueError as error:
        raise fail(f"--since {since}: {error}; give it as 2026-11-26T08:00:00Z", 2) from None
    settings = settings_for(data_dir)
    opener = None if sealed else keys.opener(settings)
    filters = {"after": str(after), "since": since or "", "types": types, "categories": categories}
    given = {key: value for key, value in filters.items() if value}
    with contextlib.closing(log_operations.feed(settings)) as feed:
        asyncio.run(past_operations.record_export(settings, "log/export", given))
        if moment is not None:
            after = max(after, feed.position_at(moment - 1))
        for event in FeedCursor(feed, after, _names(types), _names(categories)).to_end():
            print_json(stored_event(event, opener))


@app.command()
def salvage(
    target: Annotated[Path, typer.Argument(help="An empty directory for the new log.")],
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Copy every intact frame of a damaged log into a new one; exit 1 if something was lost."""
    settings = settings_for(data_dir)
    try:
        with progress_bar("salvage", quiet=as_json) as progress:
            report = log_operations.salvage(settings, target, progress)
    except FileExistsError as error:
        raise fail(str(error), 2) from None
    if as_json:
        print_json(report)
    else:
        for finding in report.lost:
            out.print(f"lost: {finding.segment} at byte {finding.offset}: {finding.reason}")
        out.print(f"copied {report.copied_events:,} events to {target}")
    if report.lost:
        raise typer.Exit(1)


def _names(text: str) -> list[str]:
    return [name.strip() for name in text.split(",") if name.strip()]


def stored_event(event: RecordedEvent, opener: Opener | None) -> dict[str, Any]:
    """An event as it stands in the log, with its personal fields opened if there is an opener."""
    shape: dict[str, Any] = {
        "position": event.position,
        "stream": event.stream,
        "version": event.version,
        "type": event.type,
        "time": shapes.time(event.recorded_us),
        "metadata": msgspec.Raw(event.metadata or b"{}"),
        "payload": msgspec.Raw(event.payload),
    }
    if opener is not None and event.payload:
        shape["payload"], erased = opener.fields(event)
        if erased:
            shape["erased"] = True
    return shape


def _show(event: RecordedEvent) -> None:
    actor = codec.decode_metadata(event.metadata)
    who = f"{actor.actor_kind.value}:{actor.actor_id}"
    typer.echo(
        f"{event.position:>9} {shapes.time(event.recorded_us)} {event.type:<36} {event.stream}"
        f" @{event.version} by {who}"
    )
