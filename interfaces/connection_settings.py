"""Settings of gateways: how many, whom they believe, TLS."""

from collections.abc import Callable
from typing import Final

from domain.errors import InvalidInput
from interfaces.gateway.addresses import AllowedOrigins, TrustedNetworks
from interfaces.setting import Setting

MAX_GATEWAYS: Final = 64

CONNECTION_SETTINGS: Final = (
    Setting(
        "gateways",
        "KEFU_GATEWAYS",
        "auto",
        "Gateway processes for WebSockets; `auto`: half of the cores; 0: the web role does it.",
    ),
    Setting(
        "web_socket",
        "KEFU_WEB_SOCKET",
        None,
        "Unix socket on which the web role listens, in place of host and port, and to which"
        " gateways relay what is not `/ws`; `kefu serve` sets it.",
    ),
    Setting(
        "trusted_proxies",
        "KEFU_TRUSTED_PROXIES",
        "",
        "Addresses and networks (CIDR, divided by commas) of proxies whose word on the client's "
        "address is taken; empty: none.",
    ),
    Setting(
        "proxy_protocol",
        "KEFU_PROXY_PROTOCOL",
        "off",
        "`v2`: connections from trusted proxies begin with a PROXY protocol v2 header; `off`: "
        "they do not.",
    ),
    Setting(
        "allowed_origins",
        "KEFU_ALLOWED_ORIGINS",
        "*",
        "Origins (divided by commas) whose pages may open `/ws`; `*`: any, because a bearer "
        "token is not ambient as a cookie is.",
    ),
    Setting(
        "tls_certificate",
        "KEFU_TLS_CERTIFICATE",
        None,
        "PEM file with the certificate and its chain, for TLS without a proxy; unset: no TLS.",
    ),
    Setting("tls_key", "KEFU_TLS_KEY", None, "PEM file with the certificate's key, unencrypted."),
)


def check_connection_settings(
    *,
    gateways: str,
    trusted_proxies: str,
    proxy_protocol: str,
    allowed_origins: str,
    tls: tuple[str | None, ...],
) -> None:
    """Refuse what would fail later.

    Raises:
        InvalidInput: naming the variable.
    """
    if gateways != "auto" and not (
        gateways.isascii() and gateways.isdigit() and int(gateways) <= MAX_GATEWAYS
    ):
        raise InvalidInput(
            f"KEFU_GATEWAYS must be `auto` or 0 to {MAX_GATEWAYS}, not {gateways!r}."
        )
    _check("KEFU_TRUSTED_PROXIES", TrustedNetworks, trusted_proxies)
    _check("KEFU_ALLOWED_ORIGINS", AllowedOrigins, allowed_origins)
    if proxy_protocol not in ("off", "v2"):
        raise InvalidInput("KEFU_PROXY_PROTOCOL must be off or v2.")
    if proxy_protocol == "v2" and not trusted_proxies.strip():
        raise InvalidInput("KEFU_PROXY_PROTOCOL needs KEFU_TRUSTED_PROXIES: who may send it.")
    if None in tls and any(tls):
        raise InvalidInput("KEFU_TLS_CERTIFICATE and KEFU_TLS_KEY need each other.")
    if any(tls) and gateways == "0":
        # Nobody shall take an open port for an encrypted one.
        raise InvalidInput("KEFU_TLS_CERTIFICATE needs a gateway: the web role speaks no TLS.")
    if any(tls) and proxy_protocol == "v2":
        raise InvalidInput("KEFU_PROXY_PROTOCOL: a proxy that sends it ends the TLS itself.")


def _check(variable: str, parse: Callable[[str], object], text: str) -> None:
    try:
        parse(text)
    except InvalidInput as error:
        raise InvalidInput(f"{variable}: {error.detail}") from None
