"""Participants of sagas that are reached over HTTP, by the settings."""

from typing import NamedTuple

from application.ports.participants import Participant
from domain.errors import InvalidInput
from infrastructure.providers.participant import HttpParticipant
from infrastructure.providers.requests import Authentication
from interfaces.bootstrap.callbacks import DEFAULTS, profile_of
from interfaces.provider_settings import ProviderAccess
from interfaces.settings import Settings


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
    for name, defaults in DEFAULTS.items():
        access = settings.provider(name)
        if access is not None:
            profile = profile_of(access, defaults)
            made[name] = HttpParticipant(access.url, profile, _authentication(name, access))
    return HttpParticipants(made)


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
