"""The sandbox, composed."""

from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

import uvloop

from domain.errors import InvalidInput
from infrastructure.providers.webhooks import secret_of
from infrastructure.sandbox.server import SandboxOptions, serve
from interfaces.workers.stop_signals import StopSignals


def run(
    *,
    data_dir: Path,
    host: str,
    port: int,
    settle_after_s: float | None,
    callback_url: str | None,
    callback_secret_file: Path | None,
    ready: Callable[[str], None],
) -> None:
    """Serve until SIGTERM or SIGINT.

    Raises:
        InvalidInput: the options don't fit together, or the secret is none.
        OSError: the address is taken, or a file can't be read or written.
    """
    secret = b""
    if callback_url is not None:
        url = urlsplit(callback_url)
        if url.scheme not in ("http", "https") or not url.netloc:
            raise InvalidInput("--callback-url must be an http(s) URL.")
        if callback_secret_file is None:
            raise InvalidInput("--callback-url needs --callback-secret-file.")
        secret = secret_of(callback_secret_file.read_text())
    options = SandboxOptions(
        data_dir=data_dir,
        host=host,
        port=port,
        settle_after_s=settle_after_s,
        callback_url=callback_url,
        callback_secret=secret,
    )
    # uvicorn raises the signal again when it has stopped, which would end the process by it.
    with StopSignals() as stop:
        if not stop.seen:
            uvloop.run(serve(options, ready))
