"""Role `web`: HTTP API, WebSocket, console and widget, on uvicorn and uvloop."""

from typing import Any

import uvicorn
from fastapi import FastAPI

from interfaces.gateway.transport import transport_for
from interfaces.http.dependencies import WebDependencies
from interfaces.settings import Settings
from interfaces.workers.stop_signals import StopSignals


def configuration(app: FastAPI, dependencies: WebDependencies, **more: Any) -> uvicorn.Config:
    """How uvicorn serves the app."""
    return uvicorn.Config(
        app,
        http="httptools",
        ws=transport_for(dependencies),
        access_log=False,
        log_config=None,
        server_header=False,
        timeout_graceful_shutdown=2,
        **more,
    )


def run(settings: Settings, app: FastAPI, dependencies: WebDependencies) -> int:
    """Serve until SIGTERM; returns the exit status."""
    place: dict[str, Any] = {"host": settings.host, "port": settings.port}
    if settings.web_socket is not None:
        place = {"uds": settings.web_socket}
    config = configuration(app, dependencies, loop="uvloop", backlog=4096, **place)
    server = uvicorn.Server(config)
    # uvicorn raises the signal again when it has stopped, which would end the process by it.
    with StopSignals() as stop:
        if not stop.seen:
            server.run()
    return 0 if server.started or stop.seen else 1
