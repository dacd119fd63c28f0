"""Those outside who do the steps of a saga: payment, ERP, a conversation."""

from collections.abc import Mapping
from typing import Protocol

import msgspec

from application.sagas.outcome import CallOutcome
from domain.errors import Unauthenticated


class Participant(Protocol):
    """Somebody outside who does a step of a saga, idempotent by key.

    What the other side does, or fails to do, is an outcome and never an exception.
    """

    async def call(self, operation: str, key: str, body: bytes, timeout_s: float) -> CallOutcome:
        """Ask for something to be done, once, however often it is asked with this key.

        Args:
            operation: What, for example `payment.refund`.
            key: The idempotency key, the same on every retry; at most 200 ASCII characters.
            body: JSON, the same on every retry.
            timeout_s: For the whole attempt; after it the outcome is UNKNOWN.
        """
        ...

    async def look_up(self, operation: str, key: str, timeout_s: float) -> CallOutcome:
        """What became of the call with this key; NOT_FOUND: the participant knows none."""
        ...


class Callback(msgspec.Struct, frozen=True):
    """What a participant reports by itself, after its signature was checked."""

    id: str
    """The participant's id of the report, the same for repeats."""
    key: str
    """The call's idempotency key."""
    operation: str
    outcome: CallOutcome


class CallbackRefused(Unauthenticated):
    """The signature is wrong, or its time is too far away."""

    code = "callback-refused"

    def __init__(self, detail: str) -> None:
        super().__init__(detail)


class CallbackReader(Protocol):
    """Checks and reads what a participant sends to us."""

    def read(self, headers: Mapping[str, str], body: bytes, now_us: int) -> Callback:
        """The report in a request.

        Args:
            headers: Names in lower case.

        Raises:
            CallbackRefused: it is not signed by the participant, or long ago.
            InvalidInput: it is signed, and can't be understood.
        """
        ...
