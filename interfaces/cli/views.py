"""`kefu views`: the read models in Postgres."""

import typer
from rich.table import Table

from interfaces.bootstrap import view_operations
from interfaces.cli.options import AsJson, DataDir, settings_for
from interfaces.cli.output import out, print_json, progress_bar

app = typer.Typer(
    name="views",
    help="The read models in Postgres.",
    no_args_is_help=True,
    add_completion=False,
)


@app.command()
def status(data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """Position, lag, rows and parked events; exit 1 if an event is parked."""
    found = view_operations.status(settings_for(data_dir))
    if as_json:
        print_json(found)
    else:
        out.print(
            f"{found.schema}: position {found.position} of {found.durable_position},"
            f" {found.lag} behind"
        )
        table = Table("view", "rows")
        for name, rows in found.rows.items():
            table.add_row(name, f"{rows:,}")
        out.print(table)
        for parked in found.parked:
            out.print(f"parked: {parked.position} {parked.type} {parked.stream}: {parked.error}")
    if found.parked:
        raise typer.Exit(1)


@app.command()
def rebuild(data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """Build the views anew from the log beside the running ones, then switch over."""
    settings = settings_for(data_dir)
    with progress_bar("rebuild", quiet=as_json) as progress:
        found = view_operations.rebuild(settings, progress)
    if as_json:
        print_json(found)
    else:
        out.print(f"switched to {found.schema} at position {found.position}")


@app.command()
def verify(data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """Compare checksums of all views with a rebuild at the same position; exit 1 if they differ."""
    settings = settings_for(data_dir)
    with progress_bar("verify", quiet=as_json) as progress:
        report = view_operations.verify(settings, progress)
    if as_json:
        print_json(report)
    else:
        table = Table("view", "rows", "SHA-256", "as the log says")
        for name, found in report.tables.items():
            verdict = "yes" if not found.differences else f"NO: {found.differences:,} rows"
            table.add_row(name, f"{found.rows:,}", found.checksum[:16], verdict)
        out.print(table)
        for one in report.differences:
            key = ", ".join(f"{column} {value}" for column, value in one.key.items())
            what = f"{one.kind} ({', '.join(one.columns)})" if one.columns else one.kind
            out.print(f"{one.table} {key}: {what}", markup=False, highlight=False)
        verdict = "equal" if report.ok else "NOT equal; `kefu views rebuild` repairs them"
        out.print(f"{report.schema} at position {report.position}: {verdict}")
    if not report.ok:
        raise typer.Exit(1)
