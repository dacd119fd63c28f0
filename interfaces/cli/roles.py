"""What `kefu serve` and `kefu serve --role` start.

Each role loads its own parts and no other's: most of a start is imports, and what a core or a web
that died was about to do waits for its next start.
"""

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Final

import structlog

from domain.errors import InfrastructureError, InvalidInput, KefuError, Unavailable
from interfaces.bootstrap.logs import configure_logs
from interfaces.settings import Settings
from interfaces.workers import garbage, lifeline


def run_supervisor(settings: Settings) -> int:
    """All roles, until a signal; returns the exit status."""
    import typer

    from interfaces.bootstrap.postgres import embedded_postgres
    from interfaces.bootstrap.supervisor import supervisor_metrics
    from interfaces.workers import supervisor

    configure_logs("supervisor", settings.log_level)
    if settings.kafka_bootstrap is not None:
        structlog.get_logger(__name__).warning(
            "serve.no_mirror_yet", detail="KEFU_KAFKA_BOOTSTRAP is set; this version has no mirror"
        )
    publish = partial(supervisor_metrics, settings)
    return supervisor.serve(settings, embedded_postgres(settings), publish, typer.echo)


def run_role(role: str, settings: Settings) -> int:
    """One role, until a signal; returns the exit status.

    Raises:
        InvalidInput: it can't run at all; another start would not change that.
    """
    if role not in _ROLES:
        raise InvalidInput(f"--role must be one of {', '.join(_ROLES)}, not {role!r}.")
    if settings.link_url is not None and role != "gateway":
        raise InvalidInput("KEFU_LINK_URL is for gateways; the other roles run next to the log.")
    lifeline.hold()
    garbage.collect_less_often()
    configure_logs(role, settings.log_level)
    log = structlog.get_logger(__name__)
    try:
        return _ROLES[role](settings)
    except InvalidInput:
        raise
    except KefuError as error:
        log.error("role.failed", error=error.detail)
    except Exception:
        log.exception("role.failed")
    return 1


def _core(settings: Settings) -> int:
    from interfaces.bootstrap.core import CoreRole, LogLocked
    from interfaces.workers import core

    try:
        process = CoreRole(settings)
    except (LogLocked, Unavailable):
        # By a core that was killed and is on its way out, or by one that can be stopped; or the
        # archive does not answer, and something that is needed is only there.
        raise
    except InfrastructureError as error:
        # A damaged log will not mend itself by another start.
        raise InvalidInput(error.detail) from error
    return core.run(settings, process)


def _web(settings: Settings) -> int:
    from interfaces.bootstrap.web import web_dependencies
    from interfaces.http.app import create_app
    from interfaces.workers import web

    dependencies = web_dependencies(settings)
    return web.run(settings, create_app(dependencies), dependencies)


def _gateway(settings: Settings) -> int:
    from interfaces.bootstrap.gateway import gateway_parts
    from interfaces.workers import gateway

    return gateway.run(settings, gateway_parts(settings))


def _link(settings: Settings) -> int:
    from interfaces.bootstrap.link import link_server
    from interfaces.workers import link

    if settings.link_listen is None:
        raise InvalidInput("The role link needs KEFU_LINK_LISTEN: where to listen, host:port.")
    return link.run(*link_server(settings))


def _projector(settings: Settings) -> int:
    from interfaces.bootstrap import projector as parts
    from interfaces.workers import projector

    return projector.run(parts.projector(settings))


def _automation(settings: Settings) -> int:
    asyncio.run(_automate(settings))
    return 0


async def _automate(settings: Settings) -> None:
    from interfaces.bootstrap import clients
    from interfaces.bootstrap.sagas import saga_worker
    from interfaces.bootstrap.views import views
    from interfaces.workers import automation

    core, read_side = clients.core_client(settings), views(settings)
    await core.open()
    await read_side.open()
    try:
        async with saga_worker(settings, core) as sagas:
            await automation.run(core, read_side, clients.clock(), clients.ids(), sagas)
    finally:
        await core.close()
        await read_side.close()


def _audit(settings: Settings) -> int:
    from interfaces.bootstrap import audit as parts
    from interfaces.workers import audit

    return audit.run(parts.follower(settings))


_ROLES: Final[dict[str, Callable[[Settings], int]]] = {
    "core": _core,
    "web": _web,
    "gateway": _gateway,
    "link": _link,
    "projector": _projector,
    "automation": _automation,
    "audit": _audit,
}
