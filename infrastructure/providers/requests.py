"""Calls as one provider wants them: path, headers and body by its profile. Pure."""

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal
from urllib.parse import quote

import msgspec

from domain.errors import InvalidInput
from infrastructure.providers.amounts import decimal_string
from infrastructure.providers.profile import Profile

_AMOUNT: Final = "amount_minor"
_encoder: Final = msgspec.json.Encoder(order="deterministic")


@dataclass(frozen=True, slots=True)
class Authentication:
    """How kefu shows who it is."""

    scheme: Literal["none", "bearer", "basic", "header"] = "none"
    secret: str = ""
    """Token, `user:password`, or the header's value."""
    header: str = "Authorization"

    def __repr__(self) -> str:
        """Without the secret."""
        return f"Authentication({self.scheme!r})"

    @property
    def secrets(self) -> tuple[str, ...]:
        """What must be seen nowhere."""
        _, _, password = self.secret.partition(":")
        both = (self.secret, password if self.scheme == "basic" else "")
        return tuple(secret for secret in both if secret)

    def headers(self) -> dict[str, str]:
        """What is sent with every request."""
        match self.scheme:
            case "none":
                return {}
            case "bearer":
                return {"Authorization": f"Bearer {self.secret}"}
            case "basic":
                # RFC 7617 section 2.
                return {"Authorization": f"Basic {base64.b64encode(self.secret.encode()).decode()}"}
            case "header":
                return {self.header: self.secret}


def look_up_path(profile: Profile, operation: str, key: str) -> str:
    """Path of the question what became of a key."""
    path = profile.look_up.replace("{operation}", quote(operation, safe=""))
    return path.replace("{key}", quote(key, safe=""))


def body_for(profile: Profile, body: bytes) -> bytes:
    """The body with the provider's names and its form of amounts, the same for the same body.

    Raises:
        InvalidInput: it is no JSON object, or has an amount without a currency.
    """
    try:
        canonical = msgspec.json.decode(body)
    except msgspec.DecodeError as error:
        raise InvalidInput(f"The body of a call must be JSON: {error}.") from None
    if not isinstance(canonical, dict):
        raise InvalidInput("The body of a call must be a JSON object.")
    if not profile.fields and profile.amount == "minor":
        return body
    made: dict[str, Any] = {}
    for name, value in canonical.items():
        path = profile.fields.get(name, name)
        if path:
            _put(made, path, _value(profile, canonical, name, value))
    return _encoder.encode(made)


def _value(profile: Profile, canonical: Mapping[str, Any], name: str, value: Any) -> Any:
    if name != _AMOUNT or profile.amount == "minor":
        return value
    currency = canonical.get("currency")
    if not isinstance(value, int) or not isinstance(currency, str):
        raise InvalidInput("An amount in minor units needs its currency to be written as decimal.")
    return decimal_string(value, currency)


def _put(made: dict[str, Any], path: str, value: Any) -> None:
    *parents, last = path.split(".")
    for parent in parents:
        within = made.setdefault(parent, {})
        if not isinstance(within, dict):
            raise InvalidInput(f"Two fields of the profile lead to {path!r}.")
        made = within
    made[last] = value
