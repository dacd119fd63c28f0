"""What `kefu serve` and `kefu serve --role` start."""

import asyncio
from functools import partial

import structlog
import typer

from domain.errors import InfrastructureError, InvalidInput, KefuError, Unavailable
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
    publish = partial(bootstrap.supervisor_metrics, settings)
    return supervisor.serve(settings, bootstrap.embedded_postgres(settings), publish, typer.echo)


def run_role(role: str, settings: Settings) -> int:
    """One role, until a signal; returns the exit status.

    Raises:
        InvalidInput: it can't run at all; another start would not change that.
    """
    if role not in supervisor.ROLES:
        raise InvalidInput(f"--role must be one of {', '.join(supervisor.ROLES)}, not {role!r}.")
    lifeline.hold()
    garbage.collect_less_often()
    bootstrap.configure_logs(role, settings.log_level)
    log = structlog.get_logger(__name__)
    try:
        return _run(role, settings)
    except InvalidInput:
        raise
    except KefuError as error:
        log.error("role.failed", error=error.detail)
    except Exception:
        log.exception("role.failed")
    return 1


def _run(role: str, settings: Settings) -> int:
    match role:
        case "core":
            return core.run(settings, _open_core(settings))
        case "web":
            dependencies = bootstrap.web_dependencies(settings)
            return web.run(settings, create_app(dependencies), dependencies)
        case "projector":
            return projector.run(bootstrap.projector(settings))
        case _:
            asyncio.run(_automation(settings))
            return 0


def _open_core(settings: Settings) -> core.CoreProcess:
    try:
        return bootstrap.CoreRole(settings)
    except (bootstrap.LogLocked, Unavailable):
        # By a core that was killed and is on its way out, or by one that can be stopped; or the
        # archive does not answer, and something that is needed is only there.
        raise
    except InfrastructureError as error:
        # A damaged log will not mend itself by another start.
        raise InvalidInput(error.detail) from error


async def _automation(settings: Settings) -> None:
    client, views = bootstrap.core_client(settings), bootstrap.views(settings)
    await client.open()
    await views.open()
    try:
        await automation.run(client, views, bootstrap.clock(), bootstrap.ids())
    finally:
        await client.close()
        await views.close()
