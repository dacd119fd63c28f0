"""Settings of the link between the log's machine and gateways on others (ADR 0016)."""

from typing import Final, NamedTuple
from urllib.parse import urlsplit

from domain.errors import InvalidInput
from interfaces.key_settings import KeySettings
from interfaces.setting import Setting

LINK_SETTINGS: Final = (
    Setting(
        "link_listen",
        "KEFU_LINK_LISTEN",
        None,
        "`host:port` on which the role `link` takes gateways of other machines; unset: none.",
    ),
    Setting(
        "link_url",
        "KEFU_LINK_URL",
        None,
        "`host:port` of the link, for gateways on a machine without the log.",
    ),
    Setting(
        "link_certificate",
        "KEFU_LINK_CERTIFICATE",
        None,
        "PEM file with this end's certificate for the link.",
    ),
    Setting("link_key", "KEFU_LINK_KEY", None, "PEM file with its key, unencrypted."),
    Setting(
        "link_ca",
        "KEFU_LINK_CA",
        None,
        "PEM file with your own authority's certificate, which signed the other end's.",
    ),
)


class LinkSettings(KeySettings, frozen=True, kw_only=True):
    """The link; see `LINK_SETTINGS`."""

    link_listen: str | None
    link_url: str | None
    link_certificate: str | None
    link_key: str | None
    link_ca: str | None


class LinkAddress(NamedTuple):
    """Where a link listens."""

    host: str
    port: int


def link_address(variable: str, text: str) -> LinkAddress:
    """`host:port`, or `[host]:port` for IPv6.

    Raises:
        InvalidInput: of another form.
    """
    try:
        parts = urlsplit(f"//{text}")
        host, port = parts.hostname, parts.port
    except ValueError:
        host = port = None
    if not host or not port or parts.path or "@" in text:
        raise InvalidInput(f"{variable} must be host:port, not {text!r}.")
    return LinkAddress(host, port)


def check_link_settings(settings: LinkSettings, *, gateways: str, database_url: str | None) -> None:
    """Refuse what would fail later.

    Raises:
        InvalidInput: naming the variable.
    """
    given = {"KEFU_LINK_LISTEN": settings.link_listen, "KEFU_LINK_URL": settings.link_url}
    used = {variable: text for variable, text in given.items() if text is not None}
    if len(used) > 1:
        raise InvalidInput(
            "KEFU_LINK_LISTEN is for the machine of the log, KEFU_LINK_URL for the others."
        )
    for variable, text in used.items():
        link_address(variable, text)
        if None in (settings.link_certificate, settings.link_key, settings.link_ca):
            raise InvalidInput(
                f"{variable} needs KEFU_LINK_CERTIFICATE, KEFU_LINK_KEY and KEFU_LINK_CA: whoever "
                "may use the link is trusted with everything. How to make them: "
                "docs/howto/several-machines.md."
            )
    if settings.link_listen is not None and gateways == "0":
        raise InvalidInput("KEFU_LINK_LISTEN needs a gateway here too: KEFU_GATEWAYS is 0.")
    if settings.link_url is not None and gateways == "0":
        raise InvalidInput("KEFU_LINK_URL is for gateways, and KEFU_GATEWAYS is 0.")
    if settings.link_url is not None and database_url is None:
        raise InvalidInput(
            "KEFU_LINK_URL needs KEFU_DATABASE_URL: the views are read from Postgres, which the "
            "machine of the log must let this one use; an embedded one does not."
        )
