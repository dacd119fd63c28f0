"""`kefu log archive`: one round of archiving and retention, now."""

from typing import Annotated

import typer

from interfaces.bootstrap.archive import log_archive
from interfaces.cli.options import AsJson, DataDir, settings_for
from interfaces.cli.output import out, print_json, progress_bar


def archive(
    data_dir: DataDir = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only say what would be archived and deleted.")
    ] = False,
    rebuild_manifest: Annotated[
        bool,
        typer.Option("--rebuild-manifest", help="Make the list of archived segments anew."),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Archive sealed segments, then delete here what may go; exit 1 if the archive fails."""
    archive_of_log = log_archive(settings_for(data_dir))
    if rebuild_manifest:
        with progress_bar("rebuild", quiet=as_json) as progress:
            count = archive_of_log.rebuild(progress)
        print_json({"segments": count}) if as_json else out.print(f"{count:,} archived segments")
        return
    with progress_bar("archive", quiet=as_json or dry_run) as progress:
        report = archive_of_log.run(progress, dry_run=dry_run)
    if as_json:
        print_json(report)
        return
    expiry, would = report.expiry, "would be " if dry_run else ""
    for name in report.archived:
        out.print(f"{would}archived: {name}")
    for name in expiry.deleted:
        out.print(f"{would}deleted here: {name}")
    if expiry.kept is not None:
        out.print(f"the oldest sealed segment here stays: {expiry.kept}", markup=False)
    for name, position in expiry.cursors.items():
        out.print(f"cursor {name}: position {position}")
    out.print(
        f"{report.local_segments} segments here, {report.remote_segments} only in {report.url};"
        f" {would}freed {expiry.freed_bytes:,} bytes"
    )
