"""TLS before the epoll loop: asyncio's transport decrypts, a socket pair carries the bytes on.

A handshake with OpenSSL and its buffers cost some 50 KB a connection whoever drives them, so the
epoll loop's economy is not lost here, and a `Client` is the same with and without TLS.
"""

import asyncio
import socket
from collections.abc import Callable
from typing import Any, Final

from interfaces.gateway.relay import Pipe
from interfaces.gateway.tls import ServerTls

_HANDSHAKE_S: Final = 10.0


class TlsFront:
    """Takes accepted connections, gives decrypted ones.

    Args:
        tls: The context, which may change.
        adopt: Told a connected socket with the plain bytes, and the client's address.
    """

    def __init__(self, tls: ServerTls, adopt: Callable[[socket.socket, Any], None]) -> None:
        self.failed = 0
        """Clients whose TLS handshake failed, or took longer than 10 s."""
        self._tls = tls
        self._adopt = adopt
        self._tasks: set[asyncio.Task[None]] = set()

    def begin(self, accepted: socket.socket, address: Any) -> None:
        """Shake hands; the connection belongs to the front from now on."""
        task = asyncio.create_task(self._begin(accepted, address))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _begin(self, accepted: socket.socket, address: Any) -> None:
        loop = asyncio.get_running_loop()
        plain, inner = socket.socketpair()
        plain.setblocking(False)
        inner.setblocking(False)
        near, far = Pipe(), Pipe()
        near.other, far.other = far, near
        await loop.create_unix_connection(lambda: far, sock=inner)
        try:
            await loop.connect_accepted_socket(
                lambda: near,
                accepted,
                ssl=self._tls.context,
                ssl_handshake_timeout=_HANDSHAKE_S,
            )
        except OSError:  # ssl.SSLError, a time-out and a reset are
            self.failed += 1
            far.hang_up()
            plain.close()
            accepted.close()
            return
        self._adopt(plain, address)
