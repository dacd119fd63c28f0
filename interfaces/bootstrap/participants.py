"""Participants of sagas that are reached over HTTP, by the settings."""

from typing import Final, NamedTuple

from application.ports.participants import CallbackReader, Participant
from domain.errors import InvalidInput
from infrastructure.providers import profile as profiles
from infrastructure.providers.participant import HttpParticipant
from infrastructure.providers.requests import Authentication
from infrastructure.providers.webhooks import StandardWebhookReader, secret_of
from interfaces.provider_settings import ProviderAccess
from interfaces.settings import Settings

_DEFAULTS: Final = {"payment": profiles.PAYMENT, "erp": profiles.ERP}


class HttpParticipants(NamedTuple):
    """Those that are set."""

    by_name: dict[str, HttpParticipant]
    """`payment`, `erp`: what stands before the point of an operation."""

    def ports(self) -> dict[str, Participant]:
        """As the effect worker takes them."""
        return dict(self.by_name)

    async def close(self) -> None:
        """Close their connections."""
        for participant in self.by_name.values():
            await participant.close()


def http_participants(settings: Settings) -> HttpParticipants:
    """The participants whose URL is set. They connect at their first call.

    Raises:
        InvalidInput: a profile or a file of secrets is wrong.
    """
    made = {}
    for name, defaults in _DEFAULTS.items():
        access = settings.provider(name)
        if access is not None:
            profile = _profile(access, defaults)
            made[name] = HttpParticipant(access.url, profile, _authentication(name, access))
    return HttpParticipants(made)


def callback_readers(settings: Settings) -> dict[str, CallbackReader]:
    """Readers of the callbacks of those that have secrets, by name.

    Raises:
        InvalidInput: as above.
    """
    made: dict[str, CallbackReader] = {}
    for name, defaults in _DEFAULTS.items():
        access = settings.provider(name)
        if access is not None and access.callback_secrets:
            secrets = [secret_of(text) for text in access.callback_secrets]
            made[name] = StandardWebhookReader(_profile(access, defaults), secrets)
    return made


def _profile(access: ProviderAccess, defaults: profiles.Profile) -> profiles.Profile:
    return defaults if access.profile is None else profiles.load(access.profile, defaults)


def _authentication(name: str, access: ProviderAccess) -> Authentication:
    if access.token is None:
        return Authentication()
    if not access.token.isprintable():
        raise InvalidInput(f"The token of {name} must be one line of printable characters.")
    scheme, _, header = access.auth.partition(":")
    match scheme:
        case "bearer" | "basic":
            return Authentication(scheme, access.token)
        case _:
            return Authentication("header", access.token, header)
