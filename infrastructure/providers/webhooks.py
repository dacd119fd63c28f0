"""Signed callbacks, after Standard Webhooks 1.0.0.

The library of that name (1.1.0) reads the clock itself, knows one secret, and lets ValueErrors of
malformed headers through; the tests compare with it.
"""

import base64
import binascii
import hashlib
import hmac
from collections.abc import Mapping, Sequence
from typing import Final

from application.ports.participants import Callback, CallbackRefused
from domain.errors import InvalidInput
from infrastructure.providers.profile import Profile
from infrastructure.providers.reading import at, json_object, outcome_of, text_at

TOLERANCE_S: Final = 300
_PREFIX: Final = "whsec_"
_LEAST_SECRET: Final = 16
_MAX_BODY: Final = 65_536
_MAX_ID: Final = 200
_MAX_SIGNATURES: Final = 16


def secret_of(text: str) -> bytes:
    """The bytes of `whsec_` and base64.

    Raises:
        InvalidInput: it is of another form, or shorter than 16 bytes; never repeats it.
    """
    try:
        secret = base64.b64decode(text.strip().removeprefix(_PREFIX), validate=True)
    except (binascii.Error, ValueError):
        secret = b""
    if len(secret) < _LEAST_SECRET:
        raise InvalidInput(
            "A secret of callbacks must be whsec_ and the base64 of at least 16 bytes."
        )
    return secret


def sign(secret: bytes, id: str, timestamp_s: int, body: bytes) -> str:
    """One signature for the header `webhook-signature`."""
    return (
        f"v1,{base64.b64encode(_digest(secret, id.encode(), b'%d' % timestamp_s, body)).decode()}"
    )


class StandardWebhookReader:
    """`CallbackReader` for one provider.

    Args:
        profile: How it speaks.
        secrets: One, or while they are changed several; at least one.
    """

    def __init__(self, profile: Profile, secrets: Sequence[bytes]) -> None:
        if not secrets:
            raise InvalidInput("Callbacks need a secret.")
        self._profile = profile
        self._secrets = tuple(secrets)

    def read(self, headers: Mapping[str, str], body: bytes, now_us: int) -> Callback:
        """See `CallbackReader`."""
        id = self._verify(headers, body, now_us)
        said = json_object(body)
        root = self._profile.callback.root
        answer = at(said, root) if said is not None and root else said
        if said is None or not isinstance(answer, dict):
            raise InvalidInput("The callback's body is not of the expected form.")
        # The type may stand beside the answer, for whoever names no field within it.
        fields = self._profile.answer
        word = text_at(answer, fields.operation) or text_at(said, "type")
        operation = self._profile.callback.operations.get(word, word)
        key = text_at(answer, fields.key)
        outcome = outcome_of(self._profile, answer)
        if operation not in self._profile.operations or not 0 < len(key) <= _MAX_ID:
            raise InvalidInput("The callback names no operation and key that kefu knows.")
        if outcome is None:
            raise InvalidInput("The callback has no status that the profile knows.")
        return Callback(id, key, operation, outcome)

    def _verify(self, headers: Mapping[str, str], body: bytes, now_us: int) -> str:
        """The callback's id, if signature and time are good."""
        lower = {name.lower(): value for name, value in headers.items()}
        id = lower.get("webhook-id", "")
        timestamp = lower.get("webhook-timestamp", "")
        if not 0 < len(id) <= _MAX_ID or not id.isascii() or len(body) > _MAX_BODY:
            raise CallbackRefused("The callback has no good webhook-id, or its body is too long.")
        if not (timestamp.isascii() and timestamp.isdigit() and len(timestamp) <= 12):
            raise CallbackRefused("The callback has no webhook-timestamp in seconds.")
        if not self._signed(id, timestamp, lower.get("webhook-signature", ""), body):
            raise CallbackRefused("The callback's webhook-signature fits no secret.")
        if abs(now_us - int(timestamp) * 1_000_000) > TOLERANCE_S * 1_000_000:
            raise CallbackRefused("The callback's webhook-timestamp is too far from the time here.")
        return id

    def _signed(self, id: str, timestamp: str, header: str, body: bytes) -> bool:
        given = []
        for one in header.split(" ")[:_MAX_SIGNATURES]:
            version, _, signature = one.partition(",")
            if version == "v1":
                try:
                    given.append(base64.b64decode(signature, validate=True))
                except (binascii.Error, ValueError):
                    continue
        wanted = [_digest(one, id.encode(), timestamp.encode(), body) for one in self._secrets]
        return any(hmac.compare_digest(one, other) for one in given for other in wanted)


def _digest(secret: bytes, id: bytes, timestamp: bytes, body: bytes) -> bytes:
    return hmac.digest(secret, b"%b.%b.%b" % (id, timestamp, body), hashlib.sha256)
