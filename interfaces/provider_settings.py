"""Settings of the participants of sagas over HTTP: payment and ERP."""

from pathlib import Path
from typing import Final, NamedTuple
from urllib.parse import urlsplit

from domain.errors import InvalidInput
from interfaces.audit_settings import AuditSettings
from interfaces.setting import Setting


def _of(name: str, what: str) -> tuple[Setting, ...]:
    field, variable = name, f"KEFU_{name.upper()}"
    return (
        Setting(
            f"{field}_url",
            f"{variable}_URL",
            None,
            f"Base URL of the {what}, without credentials; unset: none, and what needs it waits.",
        ),
        Setting(
            f"{field}_auth",
            f"{variable}_AUTH",
            "bearer",
            f"How kefu shows the {what} who it is, if there is a token: `bearer`, `basic` (the "
            "token is `user:password`) or `header:NAME`.",
        ),
        Setting(f"{field}_token", f"{variable}_TOKEN", None, "The token; unset: the file's."),
        Setting(
            f"{field}_token_file",
            f"{variable}_TOKEN_FILE",
            None,
            "File with the token; neither: no authentication.",
        ),
        Setting(
            f"{field}_profile",
            f"{variable}_PROFILE",
            None,
            "TOML or JSON file that says how it speaks (docs/howto/providers.md); unset: as "
            "`kefu sandbox` does.",
        ),
        Setting(
            f"{field}_callback_secrets",
            f"{variable}_CALLBACK_SECRETS",
            None,
            "Secrets of its signed callbacks, `whsec_...`, divided by commas; unset: the file's.",
        ),
        Setting(
            f"{field}_callback_secrets_file",
            f"{variable}_CALLBACK_SECRETS_FILE",
            None,
            "File with these secrets, one a line; neither: its callbacks are refused.",
        ),
    )


PROVIDER_SETTINGS: Final = (*_of("payment", "payment provider"), *_of("erp", "ERP"))


class ProviderSettings(AuditSettings, frozen=True, kw_only=True):
    """See `PROVIDER_SETTINGS` for meanings and defaults."""

    payment_url: str | None
    payment_auth: str
    payment_token: str | None
    payment_token_file: str | None
    payment_profile: str | None
    payment_callback_secrets: str | None
    payment_callback_secrets_file: str | None
    erp_url: str | None
    erp_auth: str
    erp_token: str | None
    erp_token_file: str | None
    erp_profile: str | None
    erp_callback_secrets: str | None
    erp_callback_secrets_file: str | None

    def provider(self, name: str) -> "ProviderAccess | None":
        """What is set of `payment` or `erp`; None: it has no URL. Reads the files of secrets.

        Raises:
            InvalidInput: a file can't be read.
        """
        url: str | None = getattr(self, f"{name}_url")
        if url is None:
            return None
        token: str | None = getattr(self, f"{name}_token")
        token_file: str | None = getattr(self, f"{name}_token_file")
        if token is None and token_file is not None:
            token = _text(f"KEFU_{name.upper()}_TOKEN_FILE", token_file)
        secrets: str | None = getattr(self, f"{name}_callback_secrets")
        secrets_file: str | None = getattr(self, f"{name}_callback_secrets_file")
        if secrets is None and secrets_file is not None:
            variable = f"KEFU_{name.upper()}_CALLBACK_SECRETS_FILE"
            secrets = _text(variable, secrets_file).replace("\n", ",")
        profile: str | None = getattr(self, f"{name}_profile")
        return ProviderAccess(
            url=url,
            auth=getattr(self, f"{name}_auth"),
            token=token or None,
            profile=None if profile is None else Path(profile),
            callback_secrets=tuple(s.strip() for s in (secrets or "").split(",") if s.strip()),
        )


class ProviderAccess(NamedTuple):
    """One provider, as set."""

    url: str
    auth: str
    token: str | None
    profile: Path | None
    callback_secrets: tuple[str, ...]

    def __repr__(self) -> str:
        """Without the secrets."""
        return f"ProviderAccess(url={self.url!r}, ...)"


def check_provider_settings(settings: ProviderSettings) -> None:
    """Refuse what would fail later. Messages don't repeat a URL: a secret may be in it.

    Raises:
        InvalidInput: naming the variable.
    """
    for name in ("payment", "erp"):
        variable = f"KEFU_{name.upper()}"
        given: str | None = getattr(settings, f"{name}_url")
        if given is not None and not _is_base_url(given):
            raise InvalidInput(
                f"{variable}_URL must be http(s)://host[:port][/path], without credentials."
            )
        auth: str = getattr(settings, f"{name}_auth")
        scheme, _, header = auth.partition(":")
        named = header.isascii() and header.replace("-", "").isalnum()
        if auth not in ("bearer", "basic") and not (scheme == "header" and named):
            raise InvalidInput(f"{variable}_AUTH must be bearer, basic or header:NAME.")


def _is_base_url(text: str) -> bool:
    try:
        url = urlsplit(text)
        port_is_good = url.port != 0
    except ValueError:
        return False
    plain = not url.query and not url.fragment and "@" not in url.netloc
    return url.scheme in ("http", "https") and bool(url.hostname) and port_is_good and plain


def _text(variable: str, path: str) -> str:
    try:
        return Path(path).read_text().strip()
    except (OSError, UnicodeDecodeError):
        raise InvalidInput(f"{variable}: {path} can't be read.") from None
