"""What `kefu serve` and `kefu serve --role` start."""

import asyncio

import structlog
import typer

from domain.errors import InfrastructureError, InvalidInput
from interfaces import bootstrap
from interfaces.http.app import create_app
from interfaces.settings import Settings
from interfaces.workers import automation, core, garbage, lifeline, projector, supervisor, web


def run_supervisor(settings: Settings) -> int:
    """All roles, until a signal; returns the exit status."""
    bootstrap.configure_logs("supervisor", settings.log_level)
    if settings.kafka_bootstrap is not None:
        structlog.get_logger(__name__).warning(
            "serve.no_mirror_yet", detail="KEFU_KAFKA_BOOTSTRAP is set; this version has no mirror"
        )
    try:
        return supervisor.serve(settings, bootstrap.embedded_postgres(settings), typer.echo)
    except supervisor.AlreadyRunning as error:
        raise InvalidInput(error.detail) from None


def run_role(role: str, settings: Settings) -> int:
    """One role, until a signal; returns the exit status."""
    if role not in supervisor.ROLES:
        raise InvalidInput(f"--role must be one of {', '.join(supervisor.ROLES)}, not {role!r}.")
    lifeline.hold()
    garbage.collect_less_often()
    bootstrap.configure_logs(role, settings.log_level)
    match role:
        case "core":
            try:
                process = bootstrap.CoreRole(settings)
            except InfrastructureError as error:
                # A locked or damaged log will not mend itself by another start.
                raise InvalidInput(error.detail) from error
            return core.run(settings, process)
        case "web":
            return web.run(settings, create_app(bootstrap.web_dependencies(settings)))
        case "projector":
            return projector.run(bootstrap.projector(settings))
        case _:
            asyncio.run(_automation(settings))
            return 0


async def _automation(settings: Settings) -> None:
    client, views = bootstrap.core_client(settings), bootstrap.views(settings)
    await client.open()
    await views.open()
    try:
        await automation.run(client, views, bootstrap.clock(), bootstrap.ids())
    finally:
        await client.close()
        await views.close()
