"""TLS in the gateway, for an installation without a proxy in front: HTTP/1.1 over TLS 1.2 or 1.3.

Certificates are renewed while the process runs (every 60 to 90 days with ACME), so the files are
read anew when they change and on SIGHUP; connections that are open go on under the old ones.
"""

import asyncio
import signal
import ssl
from pathlib import Path
from typing import Final, NoReturn

import structlog

from domain.errors import InvalidInput
from interfaces.settings import Settings

_log = structlog.get_logger(__name__)

CHECK_S: Final = 60.0
"""Between two looks at the files."""
ALPN: Final = ("http/1.1",)
"""A WebSocket over HTTP/2 (RFC 8441) is not spoken here."""
_MISMATCH: Final = ("KEY_VALUES_MISMATCH", "KEY_TYPE_MISMATCH", "NO_CERTIFICATE_ASSIGNED")
"""OpenSSL's reasons for a key of another certificate; the last: and of another kind."""

_Stamp = tuple[tuple[int, int, int] | None, ...]


class TlsFilesInvalid(InvalidInput):
    """Certificate and key can't be read, are none, or do not fit each other."""

    code = "tls-files-invalid"


class ServerTls:
    """The context for new connections, from two PEM files.

    Args:
        certificate: The server's certificate, behind it those that lead to the root.
        key: Its private key, unencrypted: nobody is there to type a password at a restart.

    Raises:
        TlsFilesInvalid: what is wrong, naming the setting and the file.
    """

    __slots__ = ("_certificate", "_key", "_stamp", "context")

    def __init__(self, certificate: Path, key: Path) -> None:
        self._certificate = certificate
        self._key = key
        self._stamp = self._look()
        self.context = self._load()
        """Take it anew for every connection: a reload puts another one here. It is not changed in
        place, which a failure could leave half done.
        """

    def reload(self) -> None:
        """Read the files again.

        Raises:
            TlsFilesInvalid: the context stays as it was.
        """
        self._stamp = self._look()
        self.context = self._load()

    def refresh(self) -> bool:
        """Reload if the files have changed since they were read last, whether that went well or
        not: of two files that are replaced one after the other, the first alone may not fit.

        Returns:
            Whether there is a new context.

        Raises:
            TlsFilesInvalid: the context stays as it was.
        """
        if self._look() == self._stamp:
            return False
        self.reload()
        return True

    def _look(self) -> _Stamp:
        """What tells a file from the one that was there before; symbolic links are followed."""
        return _stamp(self._certificate), _stamp(self._key)

    def _load(self) -> ssl.SSLContext:
        certificate, key = self._certificate, self._key
        _require("KEFU_TLS_CERTIFICATE", certificate, b"-----BEGIN CERTIFICATE-----")
        _require("KEFU_TLS_KEY", key, b"PRIVATE KEY-----")
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        # A client could make us do a handshake's work over and over on one connection.
        context.options |= ssl.OP_NO_RENEGOTIATION | ssl.OP_CIPHER_SERVER_PREFERENCE
        context.set_alpn_protocols(list(ALPN))

        def refuse() -> NoReturn:
            raise TlsFilesInvalid(f"KEFU_TLS_KEY: {key} is encrypted; give an unencrypted one.")

        try:
            context.load_cert_chain(certificate, key, refuse)
        except ssl.SSLError as error:
            if error.reason in _MISMATCH:
                raise TlsFilesInvalid(
                    f"KEFU_TLS_KEY: {key} is not the key of the certificate in {certificate}; "
                    "the server's own certificate stands first."
                ) from None
            raise TlsFilesInvalid(
                f"KEFU_TLS_CERTIFICATE, KEFU_TLS_KEY: {certificate} and {key} are not taken: "
                f"{error.reason or error}."
            ) from None
        except OSError as error:  # gone since it was looked at
            raise TlsFilesInvalid(
                f"KEFU_TLS_CERTIFICATE, KEFU_TLS_KEY: {error.strerror}."
            ) from None
        return context


class TlsWatch:
    """Keeps a `ServerTls` up to date in an event loop: on SIGHUP at once, else by looking.

    While it runs, SIGHUP to this process means that and nothing else.
    """

    def __init__(self, tls: ServerTls, loop: asyncio.AbstractEventLoop) -> None:
        self._tls = tls
        self._loop = loop
        loop.add_signal_handler(signal.SIGHUP, self._hang_up)
        self._timer = loop.call_later(CHECK_S, self._tick)

    def close(self) -> None:
        """Stop; the context stays."""
        self._timer.cancel()
        self._loop.remove_signal_handler(signal.SIGHUP)

    def _hang_up(self) -> None:
        try:
            self._tls.reload()
        except TlsFilesInvalid as error:
            _log.error("tls.not_reloaded", code=error.code, error=error.detail)
        else:
            _log.info("tls.reloaded")

    def _tick(self) -> None:
        self._timer = self._loop.call_later(CHECK_S, self._tick)
        try:
            if self._tls.refresh():
                _log.info("tls.reloaded")
        except TlsFilesInvalid as error:
            _log.error("tls.not_reloaded", code=error.code, error=error.detail)


def server_tls(settings: Settings) -> ServerTls | None:
    """What the settings say; None: no TLS here.

    Raises:
        TlsFilesInvalid: as `ServerTls`.
    """
    if settings.tls_certificate is None or settings.tls_key is None:
        return None
    return ServerTls(Path(settings.tls_certificate), Path(settings.tls_key))


def _require(setting: str, path: Path, mark: bytes) -> None:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise TlsFilesInvalid(f"{setting}: {path} can't be read: {error.strerror}.") from None
    if mark not in content:
        raise TlsFilesInvalid(f"{setting}: {path} does not hold what it should, in PEM form.")


def _stamp(path: Path) -> tuple[int, int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_ino, found.st_size, found.st_mtime_ns
