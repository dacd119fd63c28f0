"""Role `web`: HTTP API, WebSocket, console and widget, on uvicorn and uvloop."""

import uvicorn
from fastapi import FastAPI

from interfaces.settings import Settings
from interfaces.workers.stop_signals import StopSignals

MAX_FRAME_BYTES = 64 * 1024
"""Contract: a longer WebSocket frame is closed with 1009."""


def run(settings: Settings, app: FastAPI) -> int:
    """Serve until SIGTERM; returns the exit status."""
    config = uvicorn.Config(
        app,
        host=settings.host,
        port=settings.port,
        loop="uvloop",
        http="httptools",
        ws="websockets-sansio",
        ws_max_size=MAX_FRAME_BYTES,
        # Clients ping by frames of the protocol; a compressed frame costs a whole echo.
        ws_per_message_deflate=False,
        access_log=False,
        log_config=None,
        server_header=False,
        timeout_graceful_shutdown=2,
        backlog=4096,
    )
    server = uvicorn.Server(config)
    # uvicorn raises the signal again when it has stopped, which would end the process by it.
    with StopSignals() as stop:
        if not stop.seen:
            server.run()
    return 0 if server.started or stop.seen else 1
