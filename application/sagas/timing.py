"""When a call is tried again: exponential backoff with jitter that needs no randomness."""

import hashlib
from typing import Final

from application.sagas.definition import RetryPolicy

_SECOND_US: Final = 1_000_000


def us(seconds: float) -> int:
    """Microseconds."""
    return int(seconds * _SECOND_US)


def delay_us(policy: RetryPolicy, key: str, attempt: int, retry_after_s: float | None) -> int:
    """The pause after an attempt, from 1: half to all of the doubled delay ("equal jitter").

    The jitter is drawn from the key and the attempt, so that a decision gives the same whenever it
    is made, and sagas that failed together do not come back together.

    Source: https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/
    """
    longest = min(policy.longest_delay_s, policy.first_delay_s * 2 ** min(attempt - 1, 30))
    draw = hashlib.blake2b(f"{key}#{attempt}".encode(), digest_size=8).digest()
    delay = longest * (0.5 + int.from_bytes(draw, "big") / 2**65)
    return us(max(delay, retry_after_s or 0.0))
