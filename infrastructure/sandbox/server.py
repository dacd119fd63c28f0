"""The sandbox as a process: listens, works, stops cleanly on SIGTERM."""

import asyncio
import socket
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import uvicorn
from starlette.requests import Request

from infrastructure.sandbox.committer import Committer
from infrastructure.sandbox.courier import Courier
from infrastructure.sandbox.ledger import Ledger
from infrastructure.sandbox.schema import open_database
from infrastructure.sandbox.service import Sandbox
from infrastructure.sandbox.settlement import Settlement


@dataclass(frozen=True, slots=True)
class SandboxOptions:
    """How it runs."""

    data_dir: Path
    host: str
    port: int
    """0: any free one."""
    settle_after_s: float | None
    """Payments are pending for so long; None: settled at once."""
    callback_url: str | None
    callback_secret: bytes

    def __repr__(self) -> str:
        """Without the secret."""
        return f"SandboxOptions({self.host}:{self.port}, {self.data_dir})"


async def serve(options: SandboxOptions, ready: Callable[[str], None]) -> None:
    """Serve until a signal.

    Args:
        ready: Called with the URL when it listens.

    Raises:
        OSError: the address is taken, or the directory can't be written.
        sqlite3.Error: the ledger can't be read or written.
    """
    options.data_dir.mkdir(parents=True, exist_ok=True)
    listener = _listener(options.host, options.port)
    database = open_database(options.data_dir / "sandbox.db")
    committer = Committer(database)
    ledger = Ledger(database)
    settlement = Settlement(database, ledger, callbacks=options.callback_url is not None)
    courier = Courier(committer, settlement, options.callback_url, options.callback_secret)
    sandbox = Sandbox(
        database,
        committer,
        ledger,
        settle_after_s=options.settle_after_s,
        changed=courier.notice,
        abort=lambda request: _abort(server, request),
    )
    server = _Server(
        uvicorn.Config(
            sandbox.app(),
            http="httptools",
            lifespan="off",
            access_log=False,
            log_config=None,
            server_header=False,
            proxy_headers=False,
            headers=[("Kefu-Sandbox", "1")],
            timeout_graceful_shutdown=1,
            backlog=4096,
        ),
        ready=lambda: ready(_url(listener)),
        stopping=sandbox.stop,
    )
    work = [asyncio.create_task(committer.work()), asyncio.create_task(courier.work())]
    for task in work:
        # Without one of them calls would wait for ever.
        task.add_done_callback(lambda _: server.stop())
    try:
        await server.serve([listener])
    finally:
        for task in reversed(work):
            task.cancel()
            await asyncio.wait([task])
        committer.close()
    for task in work:
        if not task.cancelled():
            await task


class _Server(uvicorn.Server):
    def __init__(
        self, config: uvicorn.Config, *, ready: Callable[[], None], stopping: Callable[[], None]
    ) -> None:
        super().__init__(config)
        self._ready = ready
        self._stopping = stopping

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._ready()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._stopping()
        await super().shutdown(sockets)

    def stop(self) -> None:
        """As a signal does."""
        self.should_exit = True


async def _abort(server: uvicorn.Server, request: Request) -> None:
    """Close a request's connection without an answer: ASGI has no way to do it."""
    for connection in list(server.server_state.connections):
        client = getattr(connection, "client", None)
        if request.client is not None and client == tuple(request.client):
            connection.transport.abort()
    # The end of the connection must be noticed before uvicorn misses an answer.
    while (await request.receive())["type"] != "http.disconnect":
        continue


def _listener(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    return socket.create_server((host, port), family=family, backlog=4096)


def _url(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    return f"http://{f'[{host}]' if ':' in host else host}:{port}"
