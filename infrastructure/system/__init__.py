"""Time, ids and secrets from the operating system."""

import secrets
import time

import uuid_utils


class SystemClock:
    """`Clock` of the machine."""

    def now_us(self) -> int:
        """As `Clock.now_us`."""
        return time.time_ns() // 1000


class SystemIds:
    """`Ids` from the machine's clock and randomness."""

    def new(self) -> str:
        """As `Ids.new`."""
        return str(uuid_utils.uuid7())

    def secret(self) -> str:
        """As `Ids.secret`."""
        return secrets.token_urlsafe(32)
