"""`kefu audit verify`, `checkpoint` and `key`."""

from pathlib import Path
from typing import Annotated

import typer

from interfaces.bootstrap import audit_operations
from interfaces.cli.options import AsJson, DataDir, settings_for
from interfaces.cli.output import fail, out, print_json, progress_bar


def verify(
    data_dir: DataDir = None,
    first: Annotated[
        int | None, typer.Option("--from", min=1, help="Only events from this position on.")
    ] = None,
    last: Annotated[
        int | None, typer.Option("--to", min=1, help="Only events up to this position.")
    ] = None,
    checkpoint: Annotated[
        Path | None, typer.Option(help="A checkpoint that you have kept since.")
    ] = None,
    key: Annotated[
        str | None, typer.Option(help="The verifier key that you have pinned (`kefu audit key`).")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Compute every leaf and the tree anew from the log, compare; exit 1 if something differs."""
    if first is not None and last is not None and last < first:
        raise fail("--to is before --from", 2)
    settings = settings_for(data_dir)
    with progress_bar("verify", quiet=as_json) as progress:
        report = audit_operations.verify(settings, first, last, checkpoint, key, progress)
    if as_json:
        print_json(report)
    else:
        for finding in report.findings:
            event = f" ({finding.event})" if finding.event else ""
            out.print(
                f"position {finding.position}{event}: {finding.reason} ({finding.code})",
                markup=False,
                highlight=False,
            )
        verdict = "as they were signed" if report.ok else "NOT as they were signed"
        out.print(f"{report.events:,} events, {report.first} to {report.last}: {verdict}")
        out.print(f"the last checkpoint covers {report.size:,} events")
        if report.pinned_size is not None:
            out.print(f"the pinned checkpoint covers {report.pinned_size:,} events")
        if report.uncovered:
            out.print(f"{report.uncovered:,} newer events are not covered yet")
    if not report.ok:
        raise typer.Exit(1)


def checkpoint(data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """Print the last signed checkpoint, after its signature was checked."""
    found, note = audit_operations.checkpoint(settings_for(data_dir))
    if as_json:
        text = note.decode()
        print_json(
            {"origin": found.origin, "size": found.size, "root": found.root.hex(), "note": text}
        )
    else:
        typer.echo(note.decode(), nl=False)


def key(data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """Print the verifier key, which auditors pin."""
    found = audit_operations.key(settings_for(data_dir))
    print_json({"vkey": found}) if as_json else typer.echo(found)
