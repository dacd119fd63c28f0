"""Role `web`: HTTP API, WebSocket, console and widget, on uvicorn and uvloop."""

from pathlib import Path
from typing import Any

import structlog
import uvicorn
from fastapi import FastAPI

from domain.errors import InvalidInput
from interfaces.gateway.transport import transport_for
from interfaces.http.dependencies import WebDependencies
from interfaces.http.proxied import ProxiedHttp
from interfaces.settings import Settings
from interfaces.workers.listening import unix_listener
from interfaces.workers.stop_signals import StopSignals

_log = structlog.get_logger(__name__)


def configuration(app: FastAPI, dependencies: WebDependencies, **more: Any) -> uvicorn.Config:
    """How uvicorn serves the app."""
    return uvicorn.Config(
        app,
        http=ProxiedHttp,
        ws=transport_for(dependencies),
        access_log=False,
        log_config=None,
        server_header=False,
        proxy_headers=False,  # `ClientMiddleware` reads them, from trusted proxies only
        timeout_graceful_shutdown=2,
        **more,
    )


def run(settings: Settings, app: FastAPI, dependencies: WebDependencies) -> int:
    """Serve until SIGTERM; returns the exit status.

    With `settings.web_socket` it listens there in place of host and port, and each connection
    begins with a PROXY header of version 2 (`interfaces.http.proxied`).

    Raises:
        InvalidInput: it would serve in clear what was set up for TLS.
    """
    if settings.tls_certificate is not None and settings.web_socket is None:
        raise InvalidInput("KEFU_TLS_CERTIFICATE needs a gateway: the web role speaks no TLS.")
    config = configuration(
        app, dependencies, host=settings.host, port=settings.port, loop="uvloop", backlog=4096
    )
    server = uvicorn.Server(config)
    listeners = None  # uvicorn's own, for host and port
    if settings.web_socket is not None:
        try:
            listeners = [unix_listener(Path(settings.web_socket))]
        except OSError as error:
            _log.error("web.cannot_listen", path=settings.web_socket, error=error.strerror)
            return 1
    # uvicorn raises the signal again when it has stopped, which would end the process by it.
    with StopSignals() as stop:
        if not stop.seen:
            server.run(listeners)
    if settings.web_socket is not None:
        Path(settings.web_socket).unlink(missing_ok=True)
    return 0 if server.started or stop.seen else 1
