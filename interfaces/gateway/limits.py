"""What clients may do to a gateway process, and how each refusal is told, counted and logged.

Pure: no I/O and no clock, but lines to a log. Connections are known by their ids. The limits of
frames themselves (size, masks, order) are in `interfaces.gateway.protocol`; their violations are
counted here.
"""

import math
from enum import IntEnum
from typing import Final, NamedTuple

from interfaces.bounded_log import BoundedLog, Log
from interfaces.gateway import protocol
from interfaces.gateway.client_keys import address_key
from interfaces.gateway.id_table import IdTable
from interfaces.gateway.timer_wheel import TickClock, TimerWheel
from interfaces.limit_settings import LimitSettings
from interfaces.token_buckets import TokenBuckets

CLOSE_POLICY: Final = 1008
CLOSE_TRY_AGAIN: Final = 1013
"""RFC 6455 section 7.4.1, and the IANA registry of close codes for 1013."""

_CONNECT_BURST_S: Final = 10
_BURST_S: Final = 5
_LONGEST_RETRY_S: Final = 300
_TICK_S: Final = 0.5


class Refusal(IntEnum):
    """Why something was refused; the index into `Limits.refused`."""

    CONNECTIONS_OPEN = 0
    CONNECTS = 1
    ADMISSION = 2
    HANDSHAKE_TIME = 3
    ADDRESS_MESSAGES = 4
    CONTACT_MESSAGES = 5
    AGENT_MESSAGES = 6
    CONTROL_FRAMES = 7
    MESSAGE_TIME = 8
    TOO_BIG = 9
    PROTOCOL = 10
    INVALID = 11

    @property
    def label(self) -> str:
        """As metrics and logs name it."""
        return self.name.lower()

    @property
    def close_code(self) -> int:
        """For a WebSocket that is open, or that is let in to be told (browsers learn nothing of a
        refused handshake).
        """
        return _CLOSE_CODES.get(self, CLOSE_POLICY)

    @property
    def status(self) -> int:
        """HTTP's, before the handshake is answered: 408, 429 or 503 (RFC 9110, RFC 6585)."""
        return _STATUS.get(self, 429)

    @property
    def reason(self) -> str:
        """For the close frame or the answer; at most 123 bytes."""
        return _REASONS[self]


_CLOSE_CODES: Final = {
    Refusal.CONNECTS: CLOSE_TRY_AGAIN,
    Refusal.ADMISSION: CLOSE_TRY_AGAIN,
    Refusal.TOO_BIG: protocol.CLOSE_TOO_BIG,
    Refusal.PROTOCOL: protocol.CLOSE_PROTOCOL,
    Refusal.INVALID: protocol.CLOSE_INVALID,
}
_STATUS: Final = {Refusal.ADMISSION: 503, Refusal.HANDSHAKE_TIME: 408}
_REASONS: Final = {
    Refusal.CONNECTIONS_OPEN: "too many connections are open from this address",
    Refusal.CONNECTS: "too many new connections from this address",
    Refusal.ADMISSION: "too many clients come at once",
    Refusal.HANDSHAKE_TIME: "the handshake took too long",
    Refusal.ADDRESS_MESSAGES: "too many messages from this address",
    Refusal.CONTACT_MESSAGES: "too many messages",
    Refusal.AGENT_MESSAGES: "too many messages",
    Refusal.CONTROL_FRAMES: "too many pings or pongs",
    Refusal.MESSAGE_TIME: "a message took too long to arrive",
    Refusal.TOO_BIG: "a message is too big, or has too many fragments",
    Refusal.PROTOCOL: "the protocol was broken",
    Refusal.INVALID: "text is UTF-8",
}
_BY_VIOLATION: Final = {
    protocol.CLOSE_TOO_BIG: Refusal.TOO_BIG,
    protocol.CLOSE_INVALID: Refusal.INVALID,
}


class Refused(NamedTuple):
    """A client that is not let in."""

    why: Refusal
    retry_after_s: int
    """For the `Retry-After` header, 1 or more."""


class Limits:
    """All limits of one process, and what they refused.

    A connection is asked for with `connecting` before its handshake is answered, and given back
    with `closed` if it was let in. About 7 bytes a connection, and 1 MB for all addresses.
    """

    __slots__ = (
        "_addresses",
        "_admission",
        "_at_most_open",
        "_booked",
        "_booking_s",
        "_by_address",
        "_by_agent",
        "_by_connection",
        "_by_contact",
        "_connects",
        "_log",
        "_open",
        "handshakes",
        "messages",
        "refused",
    )

    def __init__(self, settings: LimitSettings, log: Log, now: float) -> None:
        self._at_most_open = settings.connections_per_address or math.inf
        self._connects = _buckets(settings.connects_per_s, _CONNECT_BURST_S)
        self._admission = _buckets(settings.admissions_per_s, _BURST_S)
        self._booking_s = 1 / settings.admissions_per_s if settings.admissions_per_s else 0.0
        self._booked = now
        """When the last of those comes back who were sent away."""
        self._by_address = _buckets(settings.address_messages_per_s, _BURST_S)
        self._by_contact = _buckets(settings.contact_messages_per_s, _BURST_S)
        self._by_agent = _buckets(settings.agent_messages_per_s, _BURST_S)
        self._by_connection = _buckets(settings.control_frames_per_s, _BURST_S)
        self._open = IdTable("I")
        """Connections by `address_key`."""
        self._addresses = IdTable("I")
        """`address_key` by connection."""
        self._log = BoundedLog(log)
        self.refused = [0] * len(Refusal)
        self.handshakes = Deadlines(settings.handshake_s, now)
        """Begun when a connection is accepted, ended when its handshake is answered."""
        self.messages = Deadlines(settings.message_s, now)
        """Begun when a message has arrived in part (`WebSocketProtocol.unfinished`)."""

    def connecting(self, id_: int, address: str, now: float) -> Refused | None:
        """Whether a client may come in; None: it may, and counts as open until `closed`.

        Args:
            address: The client's, as trusted proxies say it; what is no IP address (a Unix socket)
                is limited by admission alone.
        """
        key = address_key(address)
        if key:
            if self._open[key] >= self._at_most_open:
                return self._refuse(Refusal.CONNECTIONS_OPEN, 60, now, address)
            wait_s = 0.0 if self._connects is None else self._connects.take(key, now * 1e6)
            if wait_s:
                return self._refuse(Refusal.CONNECTS, wait_s, now, address)
        if self._admission is not None and self._admission.take(0, now * 1e6):
            # Whoever is sent away is given the next moment that nobody has yet, so that a storm
            # comes back spread over the time that it takes, not all at once again.
            self._booked = max(self._booked, now) + self._booking_s
            return self._refuse(Refusal.ADMISSION, self._booked - now, now, address)
        if key:
            self._open[key] += 1
            self._addresses[id_] = key
        return None

    def closed(self, id_: int) -> None:
        """A connection has ended, at whatever stage; nothing if it is not known."""
        self.handshakes.end(id_)
        self.messages.end(id_)
        key = self._addresses.pop(id_)
        if key:
            if self._open[key] > 1:
                self._open[key] -= 1
            else:
                self._open.pop(key)

    def message(
        self, id_: int, actor: str, now: float, *, staff: bool, count: int = 1
    ) -> Refusal | None:
        """Whether so many messages that came at once may go on.

        Args:
            actor: Id of the agent (staff) or contact that the connection belongs to.
        """
        now_us = now * 1e6
        own, why = (
            (self._by_agent, Refusal.AGENT_MESSAGES)
            if staff
            else (self._by_contact, Refusal.CONTACT_MESSAGES)
        )
        if own is not None and own.take(actor, now_us, count):
            return self.refuse(why, now)
        key, shared = self._addresses[id_], self._by_address
        if key and shared is not None and shared.take(key, now_us, count):
            return self.refuse(Refusal.ADDRESS_MESSAGES, now)
        return None

    def control(self, id_: int, now: float, count: int = 1) -> Refusal | None:
        """Whether a connection's pings and pongs may go on; those of others cost nothing."""
        buckets = self._by_connection
        if buckets is not None and buckets.take(id_, now * 1e6, count):
            return self.refuse(Refusal.CONTROL_FRAMES, now)
        return None

    def violated(self, violation: protocol.Violation, now: float) -> Refusal:
        """Count a violation; close with its own code and reason."""
        return self.refuse(_BY_VIOLATION.get(violation.code, Refusal.PROTOCOL), now)

    def refuse(self, why: Refusal, now: float, address: str = "") -> Refusal:
        """Count and log a refusal, which the methods here have done with what they return."""
        self.refused[why] += 1
        self._log.warning(f"gateway.refused.{why.label}", now, address=address)
        return why

    def due(self, now: float) -> list[tuple[int, Refusal]]:
        """Connections to close now, each counted. Call it about every half second."""
        found = [(id_, Refusal.HANDSHAKE_TIME) for id_ in self.handshakes.due(now)]
        found += [(id_, Refusal.MESSAGE_TIME) for id_ in self.messages.due(now)]
        for _, why in found:
            self.refuse(why, now)
        self._log.flush(now)
        return found

    def _refuse(self, why: Refusal, wait_s: float, now: float, address: str) -> Refused:
        self.refuse(why, now, address)
        return Refused(why, min(max(1, math.ceil(wait_s)), _LONGEST_RETRY_S))


class Deadlines:
    """One time limit for something that connections begin and end.

    Args:
        seconds: The limit; it is kept to a second. Time in which this process stood still does not
            count: what came meanwhile is not read yet.
    """

    __slots__ = ("_clock", "_ticks", "_wheel")

    def __init__(self, seconds: float, now: float) -> None:
        self._clock = TickClock(now, _TICK_S, longest_step_s=1.0)
        self._ticks = math.ceil(seconds / _TICK_S) + 1
        self._wheel = TimerWheel(self._ticks)

    def begin(self, id_: int) -> None:
        """The time runs, from the last call of `due` on; nothing if it runs already."""
        if id_ not in self._wheel:
            self._wheel.schedule(id_, self._clock.tick + self._ticks)

    def end(self, id_: int) -> None:
        """It was done in time; nothing if no time runs."""
        self._wheel.cancel(id_)

    def due(self, now: float) -> list[int]:
        """Whose time is over; they are ended. Call it about every half second."""
        return self._wheel.advance(self._clock.tick) if self._clock.advance(now) else []


def _buckets(per_s: float, burst_s: float) -> TokenBuckets | None:
    return TokenBuckets(per_s, per_s * burst_s) if per_s else None
