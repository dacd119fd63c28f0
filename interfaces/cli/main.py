"""`kefu`: entry point of the command line and of the roles' processes."""

import os
import sys
from importlib.metadata import version as package_version
from pathlib import Path
from typing import Annotated

import typer

from domain.errors import InvalidInput, KefuError
from interfaces import settings as settings_module
from interfaces.cli import admin, demo, log, views
from interfaces.cli.output import fail, print_json
from interfaces.cli.roles import run_role, run_supervisor

app = typer.Typer(
    name="kefu",
    help="Self-hosted customer service on an event log that you own.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
app.add_typer(log.app, name="log")
app.add_typer(views.app, name="views")
app.add_typer(admin.app, name="admin")
app.command("demo")(demo.demo)


@app.command()
def serve(
    role: Annotated[
        str | None, typer.Option(help="Run one role only: core, web, projector or automation.")
    ] = None,
    data_dir: Annotated[Path | None, typer.Option(help="KEFU_DATA_DIR")] = None,
    host: Annotated[str | None, typer.Option(help="KEFU_HOST")] = None,
    port: Annotated[int | None, typer.Option(help="KEFU_PORT")] = None,
) -> None:
    """Run kefu: all roles on this machine, or one."""
    settings = settings_module.load(os.environ, data_dir=data_dir, host=host, port=port)
    status = run_role(role, settings) if role is not None else run_supervisor(settings)
    raise typer.Exit(status)


@app.command()
def version(
    as_json: Annotated[bool, typer.Option("--json", help="For machines.")] = False,
) -> None:
    """Print the version."""
    number = package_version("kefu")
    print_json({"version": number}) if as_json else typer.echo(f"kefu {number}")


def main() -> None:
    """Run; errors of kefu's own become one line and an exit status."""
    try:
        app()
    except InvalidInput as error:
        sys.exit(fail(error.detail, 2).exit_code)
    except KefuError as error:
        sys.exit(fail(error.detail, 1).exit_code)


if __name__ == "__main__":
    main()
