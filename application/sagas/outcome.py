"""What a call to a participant came to, as the engine takes it."""

from enum import StrEnum

import msgspec


class OutcomeKind(StrEnum):
    SUCCEEDED = "succeeded"
    ACCEPTED = "accepted"
    """Taken; the result comes by callback, or when it is asked for."""
    DECLINED = "declined"
    """No, for good; nothing was done, and this key gives the same answer for ever."""
    NOT_EXECUTED = "not-executed"
    """Nothing was done, and another attempt may succeed."""
    UNKNOWN = "unknown"
    """It may have been done: a time-out, a broken connection, an answer that can't be read."""
    NOT_FOUND = "not-found"
    """The participant knows no call with this key. One under way may still reach it."""


class CallOutcome(msgspec.Struct, frozen=True, gc=False):
    """One attempt's or one question's answer."""

    kind: OutcomeKind
    reference: str = ""
    """The participant's own id of it, with SUCCEEDED and ACCEPTED; at most 200 characters."""
    code: str = ""
    """Why not, stable; at most 100 characters."""
    detail: str = ""
    """For a person, no secret and nothing personal; at most 500 characters."""
    retry_after_s: float | None = None
    """The participant asks to be left alone for so long."""
    at_us: int | None = None
    """The participant's own time of the result, where it tells it: of two answers the later one
    counts, in whatever order they arrive."""
