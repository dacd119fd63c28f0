"""`kefu log backup` and `kefu log restore`."""

import os
from pathlib import Path
from typing import Annotated

import typer

from interfaces import shapes
from interfaces.bootstrap import log_operations
from interfaces.cli.options import AsJson, DataDir, settings_for
from interfaces.cli.output import err, fail, out, print_json, progress_bar


def backup(
    target: Annotated[Path, typer.Argument(help="An empty directory, or an earlier backup.")],
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Copy the log, in use or not, into a directory; an earlier backup gets what it lacks."""
    settings = settings_for(data_dir)
    try:
        with progress_bar("backup", quiet=as_json) as progress:
            report = log_operations.backup(settings, target, progress)
    except FileExistsError as error:
        raise fail(str(error), 2) from None
    if as_json:
        print_json(report)
        return
    out.print(
        f"{target} holds the log up to position {report.position}: {report.segments} segments,"
        f" {report.bytes:,} bytes; copied {report.copied_segments} segments,"
        f" {report.copied_bytes:,} bytes"
    )


def restore(
    source: Annotated[Path, typer.Argument(metavar="BACKUP", help="What `backup` made.")],
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Make the log of a data directory from a backup, checked; the views are built anew."""
    settings = settings_for(data_dir)
    from interfaces.workers import supervisor

    lock, _ = supervisor.claim(settings.run_dir)
    try:
        with progress_bar("restore", quiet=as_json) as progress:
            report = log_operations.restore(settings, source, progress)
        if not as_json:
            out.print(
                f"{report.directory} holds the log up to position {report.position}, as it was at"
                f" {shapes.time(report.made_us)}"
            )
        if settings.database_url is not None:
            # Its views may be those of a log that was ahead, or of another history.
            from interfaces.bootstrap import view_operations  # loads the database's driver

            with progress_bar("rebuild", quiet=as_json) as progress:
                view_operations.rebuild(settings, progress)
    except FileExistsError as error:
        raise fail(str(error), 2) from None
    finally:
        os.ftruncate(lock, 0)
        os.close(lock)
    if as_json:
        print_json(report)
    else:
        err.print("now start kefu: the index and the views are built from the log")
