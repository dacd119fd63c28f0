"""Options that several commands share."""

import os
from pathlib import Path
from typing import Annotated

import typer

from interfaces.settings import Settings, load

DataDir = Annotated[Path | None, typer.Option("--data-dir", help="KEFU_DATA_DIR")]
AsJson = Annotated[bool, typer.Option("--json", help="For machines.")]


def settings_for(data_dir: Path | None) -> Settings:
    """Settings with the data directory that the command line names."""
    return load(os.environ, data_dir=data_dir)
