"""Whoever does a step of a saga outside of kefu, and what such a participant says by itself."""

from collections.abc import Mapping
from typing import Protocol

import msgspec

from application.sagas.outcome import CallOutcome
from domain.errors import Unauthenticated


class CallbackRefused(Unauthenticated):
    """A callback without a valid signature, or with one that is too old or too new."""

    code = "callback-refused"


class Participant(Protocol):
    """Somebody outside who does a step of a saga: payment, ERP, a conversation. Idempotent by key.

    Source: docs/howto/providers.md.
    """

    async def call(self, operation: str, key: str, body: bytes, timeout_s: float) -> CallOutcome:
        """Have something done, at most once a key.

        Args:
            operation: `participant.what`, for example `payment.refund`.
            key: Idempotency key, 1 to 200 visible ASCII characters.
            body: A JSON object, the same bytes on every retry of the key.
            timeout_s: Time in s for all of it; when it is over the outcome is UNKNOWN, or
                NOT_EXECUTED if nothing had been sent.

        Returns:
            Any kind but NOT_FOUND. It never raises for what the other side does: that is an
            outcome.
        """
        ...

    async def look_up(self, operation: str, key: str, timeout_s: float) -> CallOutcome:
        """What became of a key.

        Returns:
            SUCCEEDED, ACCEPTED or DECLINED: what became of the call. NOT_FOUND: the participant
            knows no such key. UNKNOWN: the question was not answered, for whatever reason; never
            NOT_EXECUTED, which would speak of the call.
        """
        ...


class Callback(msgspec.Struct, frozen=True):
    """What a participant says by itself, its signature checked."""

    id: str
    """Of the callback, the same when it is sent again; at most 200 characters."""
    key: str
    """Idempotency key of the call that it is about."""
    operation: str
    outcome: CallOutcome


class CallbackReader(Protocol):
    """Reads one provider's callbacks."""

    def read(self, headers: Mapping[str, str], body: bytes, now_us: int) -> Callback:
        """A callback, after its signature and time were checked.

        Args:
            headers: Of the request, names in any case.
            body: As it came, byte for byte.
            now_us: Time now, in µs since 1970.

        Raises:
            CallbackRefused: no valid signature, or its time is more than 5 minutes away.
            InvalidInput: it is signed, and is no callback of the expected form.
        """
        ...
