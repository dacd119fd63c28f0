"""Both ends' TLS: 1.3 only, each end shows a certificate of the installation's own authority.

Whoever may use a link is trusted with any actor, so no public authority counts here, and there is
no link without certificates.
"""

import ssl
from pathlib import Path
from typing import Final, NoReturn

from domain.errors import InvalidInput
from infrastructure.valkey.bounded_log import BoundedLog

_Stamp = tuple[tuple[int, int, int] | None, ...]
_NAMES: Final = ("KEFU_LINK_CERTIFICATE", "KEFU_LINK_KEY", "KEFU_LINK_CA")


class LinkFilesInvalid(InvalidInput):
    """The certificate, its key or the authority can't be read, or do not fit each other."""

    code = "link-files-invalid"


class LinkTls:
    """The context for the next connection, from three PEM files that may change while it runs.

    Args:
        certificate: This end's, behind it those that lead to the authority.
        key: Its private key, unencrypted.
        authority: Certificates of those whose word on the other end is taken.
        server: Whether this end is the link role.

    Raises:
        LinkFilesInvalid: what is wrong, naming the setting and the file.
    """

    def __init__(self, certificate: Path, key: Path, authority: Path, *, server: bool) -> None:
        self._files = (certificate, key, authority)
        self._server = server
        self._log = BoundedLog()
        self._stamp = self._look()
        self._context = self._load()

    def context(self) -> ssl.SSLContext:
        """For a new connection; files that have changed are read anew, and kept away with a line
        in the log if they can't be used. Connections that are open go on.
        """
        stamp = self._look()
        if stamp != self._stamp:
            self._stamp = stamp
            try:
                self._context = self._load()
            except LinkFilesInvalid as error:
                self._log.warning("link.not_reloaded", code=error.code, error=error.detail)
        return self._context

    def _look(self) -> _Stamp:
        return tuple(map(_stamp, self._files))

    def _load(self) -> ssl.SSLContext:
        certificate, key, authority = self._files
        for name, path in zip(_NAMES, self._files, strict=True):
            try:
                path.read_bytes()
            except OSError as error:
                raise LinkFilesInvalid(f"{name}: {path} can't be read: {error.strerror}.") from None
        context = ssl.SSLContext(
            ssl.PROTOCOL_TLS_SERVER if self._server else ssl.PROTOCOL_TLS_CLIENT
        )
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        context.verify_mode = ssl.CERT_REQUIRED
        if self._server:
            context.num_tickets = 0  # a session that is resumed shows no certificate

        def refuse() -> NoReturn:
            raise LinkFilesInvalid(f"KEFU_LINK_KEY: {key} is encrypted; give an unencrypted one.")

        try:
            context.load_cert_chain(certificate, key, refuse)
        except (ssl.SSLError, OSError) as error:
            raise LinkFilesInvalid(
                f"KEFU_LINK_CERTIFICATE, KEFU_LINK_KEY: {certificate} and {key} are not a "
                f"certificate and its key in PEM form: {_reason(error)}."
            ) from None
        try:
            context.load_verify_locations(authority)
        except (ssl.SSLError, OSError) as error:
            raise LinkFilesInvalid(
                f"KEFU_LINK_CA: {authority} holds no certificate in PEM form: {_reason(error)}."
            ) from None
        return context


def _reason(error: OSError) -> str:
    return (isinstance(error, ssl.SSLError) and error.reason) or str(error)


def _stamp(path: Path) -> tuple[int, int, int] | None:
    """What tells a file from the one that was there before; symbolic links are followed."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_ino, found.st_size, found.st_mtime_ns
