"""Options that several commands share."""

import os
from pathlib import Path
from typing import Annotated

import typer

from interfaces.settings import Settings, load

DataDir = Annotated[
    Path | None,
    typer.Option("--data-dir", help="Where log, keys and views are (KEFU_DATA_DIR, or ./data)."),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for machines.")]


def settings_for(data_dir: Path | None) -> Settings:
    """Settings with the data directory that the command line names."""
    return load(os.environ, data_dir=data_dir)
