"""When to ping a client, and when to give it up. Pure: no I/O and no clock.

A silent connection is kept open by what it says: every network between forgets one that is silent
for too long, and how long that is differs. So each connection is pinged when it has been silent for
its interval; the interval grows while pings are answered, and what one connection learnt by its
death, those that come after it from the same network begin with.

The WebSocket ping (RFC 6455 section 5.5.2) decides, because TCP ends at the first proxy; the
kernel's time-out for what was sent (`tcp_info.give_up_after`) is the backstop. Anything heard
counts as life.
"""

from collections import OrderedDict
from typing import Final, NamedTuple, Self

from interfaces.gateway.client_keys import NETWORK_BITS
from interfaces.gateway.id_table import MASK, SHIFT, IdTable
from interfaces.gateway.tcp_info import TcpSample
from interfaces.gateway.timer_wheel import TickClock, TimerWheel

# A connection's state in 64 bits, from the lowest: interval in ticks (never 0), good pongs in a
# row, pings without answer, whether its link is poor, retransmits (their low 8 bits), network.
_INTERVAL: Final = 0xFFFF
_GOOD, _PROBES, _POOR, _RETRANSMITS, _NETWORK = 16, 20, 24, 25, 33
_ONE_GOOD: Final = 1 << _GOOD
_ONE_PROBE: Final = 1 << _PROBES
_COUNT: Final = 0xF
_NOT_PROBES: Final = ~(_COUNT << _PROBES)
_NOT_INTERVAL_OR_GOOD: Final = ~(_INTERVAL | _COUNT << _GOOD)
_NOT_LINK: Final = ~(0x1FF << _POOR)
assert _NETWORK + NETWORK_BITS <= 64

_SILENT: Final = 1
"""In the place of the tick at which a client was last heard: not since it was pinged."""
_FIRST_TICK: Final = 2

INTERVAL_BOUNDS_S: Final = (20, 30, 60, 120, 180, 240)
"""Upper bounds of the histogram of intervals; in proportion if the policy has another largest."""


class Policy(NamedTuple):
    """The constants, in seconds where not said otherwise."""

    start_s: float = 30.0
    """Interval of a connection whose network has taught nothing."""
    least_s: float = 20.0
    most_s: float = 240.0
    growth: float = 1.5
    good_pongs: int = 3
    """So many answered pings in a row let the interval grow; at most 15."""
    grace_s: float = 10.0
    """For an answer."""
    probes: int = 2
    """Pings, a grace apart, that must all go without answer; at most 15."""
    poor_grace_s: float = 20.0
    poor_probes: int = 3
    poor_ratio: float = 0.5
    """A link is poor if rttvar is above so much of rtt and above `poor_rttvar_us`, or if segments
    had to be sent again since the last sample."""
    poor_rttvar_us: int = 50_000
    """Below it a grace of seconds needs no help, whatever the ratio: loopback has a bad one."""
    tick_s: float = 0.5
    longest_step_s: float = 5.0
    """A call of `due` that comes later than this counts as if it came now: it was this process that
    stood still, and the answers that came meanwhile are not read yet."""
    networks: int = 16_384
    """That are remembered; about 0.2 KB each."""

    def scaled(self, factor: float) -> Self:
        """The same with every time multiplied: for tests that have no minutes."""
        times = {
            field: getattr(self, field) * factor for field in self._fields if field.endswith("_s")
        }
        return self._replace(**times)

    def bound_s(self, interval_s: float, *, poor: bool) -> float:
        """A client that falls silent is given up within this time, if `due` is called each tick."""
        grace_s = self.poor_grace_s if poor else self.grace_s
        probes = self.poor_probes if poor else self.probes
        grace_s += 2 * self.tick_s
        return max(interval_s, grace_s) + probes * grace_s + 2 * self.tick_s

    def backstop_s(self) -> int:
        """What `tcp_info.give_up_after` should be given: longer than any silence that pings leave,
        so that it does not get in their way.
        """
        return round(self.most_s + 2 * self.poor_probes * self.poor_grace_s) or 1


class KeepaliveStats:
    """Counted since the process began."""

    __slots__ = ("intervals", "pings", "pongs", "silent_deaths")

    def __init__(self) -> None:
        self.pings = 0
        self.pongs = 0
        """Pings that were answered, by a pong or anything else."""
        self.silent_deaths = 0
        """Clients given up without a word, by pings or by TCP."""
        self.intervals = [0] * len(INTERVAL_BOUNDS_S)
        """Intervals after which a client was pinged, each under the least bound that is not less;
        the largest bound is the policy's, so there is nothing above."""


class Keepalive:
    """All connections of a process; about 32 bytes each.

    Args:
        now: Of a monotonic clock in seconds, as in every call of `due`.
    """

    __slots__ = (
        "_bounds",
        "_clock",
        "_heard",
        "_learned",
        "_least",
        "_most",
        "_policy",
        "_start",
        "_state",
        "_waits",
        "_wheel",
        "stats",
    )

    def __init__(self, now: float, policy: Policy | None = None) -> None:
        policy = policy or Policy()
        self._policy = policy
        self._clock = TickClock(
            now,
            policy.tick_s,
            longest_step_s=policy.longest_step_s,
            first_tick=_FIRST_TICK,
        )
        self._start, self._least, self._most = (
            max(1, round(seconds / policy.tick_s))
            for seconds in (policy.start_s, policy.least_s, policy.most_s)
        )
        # A grace begins somewhere in a tick, so one more makes it whole.
        self._waits = tuple(
            (probes, int(grace_s / policy.tick_s) + 2)
            for probes, grace_s in (
                (policy.probes, policy.grace_s),
                (policy.poor_probes, policy.poor_grace_s),
            )
        )
        scale = self._most / INTERVAL_BOUNDS_S[-1]
        self._bounds = (*(bound * scale for bound in INTERVAL_BOUNDS_S[:-1]), self._most)
        self._state = IdTable("Q")
        self._heard = IdTable("I")
        self._wheel = TimerWheel(max(self._most, self._waits[1][1], self._waits[0][1]), _FIRST_TICK)
        self._learned: OrderedDict[int, int] = OrderedDict()
        """Interval in ticks by network, the least recently used first."""
        self.stats = KeepaliveStats()

    def opened(self, id_: int, network: int) -> None:
        """A connection is open; `network` is the client's `client_keys.network_key`."""
        interval = self._start
        if network in self._learned:
            interval = self._learned[network]
            self._learned.move_to_end(network)
        self._state[id_] = interval | network << _NETWORK
        self._heard[id_] = self._clock.tick
        self._wheel.schedule(id_, self._clock.tick + interval)

    def heard(self, id_: int) -> None:
        """Something came from the client, whatever it was; nothing if the id is not open.

        As if at the last call of `due`. So read what has arrived before you call that: then no
        client is given up whose answer was only not read yet.
        """
        page = self._heard.pages.get(id_ >> SHIFT)
        if page is not None and page[id_ & MASK]:
            page[id_ & MASK] = self._clock.tick

    def sample(self, id_: int, tcp: TcpSample) -> None:
        """How the link is, taken just after a pong; a poor one is waited for longer."""
        state = self._state[id_]
        if not state:
            return
        policy = self._policy
        again = tcp.retransmits & 0xFF
        uneven = tcp.rttvar_us > max(policy.poor_rttvar_us, tcp.rtt_us * policy.poor_ratio)
        poor = uneven or again != state >> _RETRANSMITS & 0xFF
        self._state[id_] = state & _NOT_LINK | poor << _POOR | again << _RETRANSMITS

    def due(self, now: float) -> tuple[list[int], list[int]]:
        """What to do by now. Call it about once a tick.

        Returns:
            Ids to ping, and ids that are dead: those are closed here already; drop them.
        """
        pings: list[int] = []
        dead: list[int] = []
        if self._clock.advance(now):
            for id_ in self._wheel.advance(self._clock.tick):
                self._ran_out(id_, pings, dead)
        return pings, dead

    def closed(self, id_: int, *, silent: bool = False) -> None:
        """A connection has ended; nothing if it is not open.

        Args:
            silent: Without a word: TCP gave the client up (ETIMEDOUT, EHOSTUNREACH).
        """
        state = self._state.pop(id_)
        if not state:
            return
        self._heard.pop(id_)
        self._wheel.cancel(id_)
        if silent:
            self.stats.silent_deaths += 1
            self._teach(state >> _NETWORK, max(self._least, (state & _INTERVAL) // 2), grew=False)

    def interval_s(self, id_: int) -> float:
        """After how much silence a connection is pinged; 0.0 if it is not open."""
        return (self._state[id_] & _INTERVAL) * self._policy.tick_s

    def is_poor(self, id_: int) -> bool:
        """Whether a connection's link was poor when it was last sampled."""
        return bool(self._state[id_] >> _POOR & 1)

    def _ran_out(self, id_: int, pings: list[int], dead: list[int]) -> None:
        now, state, heard = self._clock.tick, self._state[id_], self._heard[id_]
        most_probes, grace = self._waits[state >> _POOR & 1]
        probes = state >> _PROBES & _COUNT
        if probes and heard == _SILENT:
            if probes >= most_probes:
                dead.append(id_)
                self.closed(id_, silent=True)
                return
        else:
            if probes:
                state = self._answered(state & _NOT_PROBES)
                self._state[id_] = state
            at = heard + (state & _INTERVAL)
            if at > now:
                self._wheel.schedule(id_, at)
                return
            self._heard[id_] = _SILENT
            self._count(state & _INTERVAL)
        self._state[id_] = state + _ONE_PROBE
        self._wheel.schedule(id_, now + grace)
        self.stats.pings += 1
        pings.append(id_)

    def _answered(self, state: int) -> int:
        """The state after a silence of its interval that the connection outlived."""
        self.stats.pongs += 1
        good = (state >> _GOOD & _COUNT) + 1
        if good < self._policy.good_pongs:
            return state + _ONE_GOOD
        interval = min(self._most, int((state & _INTERVAL) * self._policy.growth))
        self._teach(state >> _NETWORK, interval, grew=True)
        return state & _NOT_INTERVAL_OR_GOOD | interval

    def _teach(self, network: int, interval: int, *, grew: bool) -> None:
        """What a connection learnt holds for those that come after it from its network.

        A death lowers it to half of the connection's own interval: an outage that ends a thousand
        connections halves it once, not ten times.
        """
        if not network:
            return
        known = self._learned.get(network, self._start)
        if grew:
            known = max(known, min(interval, int(known * self._policy.growth)))
        else:
            known = min(known, interval)
        self._learned[network] = known
        self._learned.move_to_end(network)
        if len(self._learned) > self._policy.networks:
            self._learned.popitem(last=False)

    def _count(self, interval: int) -> None:
        bucket = next(n for n, bound in enumerate(self._bounds) if interval <= bound)
        self.stats.intervals[bucket] += 1
