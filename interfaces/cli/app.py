"""The commands of `kefu`."""

import os
from typing import Annotated, ClassVar

import typer

from interfaces import settings as settings_module
from interfaces.cli.lazy import LazyGroup
from interfaces.cli.options import AsJson, DataDir


class _Kefu(LazyGroup):
    modules: ClassVar = {
        "log": "interfaces.cli.log",
        "views": "interfaces.cli.views",
        "audit": "interfaces.cli.audit",
        "admin": "interfaces.cli.admin",
        "privacy": "interfaces.cli.privacy",
        "refunds": "interfaces.cli.refunds",
        "orders": "interfaces.cli.orders",
        "sagas": "interfaces.cli.sagas",
        "demo": "interfaces.cli.demo",
        "sandbox": "interfaces.cli.sandbox",
    }


app = typer.Typer(
    name="kefu",
    cls=_Kefu,
    help="Self-hosted customer service on an event log that you own.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)


@app.command()
def serve(
    role: Annotated[
        str | None,
        typer.Option(help="Run only one role, as compose does: core, web, gateway and so on."),
    ] = None,
    data_dir: DataDir = None,
    host: Annotated[
        str | None, typer.Option(help="Address to listen on (KEFU_HOST, or 127.0.0.1).")
    ] = None,
    port: Annotated[
        int | None, typer.Option(help="Port to listen on (KEFU_PORT, or 8000).")
    ] = None,
    gateways: Annotated[
        str | None,
        typer.Option(help="Gateway processes for WebSockets (KEFU_GATEWAYS, or by the cores)."),
    ] = None,
) -> None:
    """Run kefu: all roles on this machine, or one."""
    from interfaces.cli.roles import run_role, run_supervisor

    settings = settings_module.load(
        os.environ, data_dir=data_dir, host=host, port=port, gateways=gateways
    )
    status = run_role(role, settings) if role is not None else run_supervisor(settings)
    raise typer.Exit(status)


@app.command()
def version(as_json: AsJson = False) -> None:
    """Print the version."""
    from importlib.metadata import version as package_version

    from interfaces.cli.output import print_json

    number = package_version("kefu")
    print_json({"version": number}) if as_json else typer.echo(f"kefu {number}")
