"""Who reads what providers report by themselves; without the client that calls them."""

from typing import Final

from application.ports.participants import CallbackReader
from infrastructure.providers import profile as profiles
from infrastructure.providers.webhooks import StandardWebhookReader, secret_of
from interfaces.provider_settings import ProviderAccess
from interfaces.settings import Settings

DEFAULTS: Final = {"payment": profiles.PAYMENT, "erp": profiles.ERP}
"""Provider -> how it is spoken with where no profile says more."""


def callback_readers(settings: Settings) -> dict[str, CallbackReader]:
    """Readers of the callbacks of those that have secrets, by name.

    Raises:
        InvalidInput: as above.
    """
    made: dict[str, CallbackReader] = {}
    for name, defaults in DEFAULTS.items():
        access = settings.provider(name)
        if access is not None and access.callback_secrets:
            secrets = [secret_of(text) for text in access.callback_secrets]
            made[name] = StandardWebhookReader(profile_of(access, defaults), secrets)
    return made


def profile_of(access: ProviderAccess, defaults: profiles.Profile) -> profiles.Profile:
    """How a provider is spoken with.

    Raises:
        InvalidInput: its profile is wrong.
    """
    return defaults if access.profile is None else profiles.load(access.profile, defaults)
