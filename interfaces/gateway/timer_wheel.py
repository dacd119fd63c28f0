"""One hashed timer wheel for all connections. No I/O: time is a number of ticks.

Scheme 6 of Varghese and Lauck, "Hashed and Hierarchical Timing Wheels" (SOSP 1987), without its
rounds: no timer is set further ahead than once around. About 15 bytes a timer.
"""

from interfaces.gateway.id_table import IdTable


class TimerWheel:
    """At most one timer an id; setting, cancelling and each tick are O(1).

    A timer that is cancelled or set anew leaves 8 bytes until its first tick comes, so this is for
    timers that mostly run out. Call `advance` once a tick or so.

    Args:
        slots: How many ticks ahead a timer may be set, rounded up to a power of two; 56 bytes each.
        now: The present tick, 0 or more.
    """

    __slots__ = ("_due", "_mask", "_now", "_slots")

    def __init__(self, slots: int, now: int = 0) -> None:
        size = 1 << (slots - 1).bit_length()
        self._mask = size - 1
        self._slots: list[list[int]] = [[] for _ in range(size)]
        self._due = IdTable("I")
        self._now = now

    def __contains__(self, id_: int) -> bool:
        return self._due[id_] != 0

    def schedule(self, id_: int, tick: int) -> None:
        """Let the id run out at a tick; an earlier timer of it is forgotten.

        Raises:
            ValueError: the tick is not ahead of now, or is further ahead than there are slots.
        """
        if not self._now < tick <= self._now + self._mask + 1:
            raise ValueError(f"a timer for tick {tick} can't be set at tick {self._now}")
        self._due[id_] = tick
        self._slots[tick & self._mask].append(id_)

    def cancel(self, id_: int) -> None:
        """The id does not run out; nothing if it has no timer."""
        self._due.pop(id_)

    def advance(self, now: int) -> list[int]:
        """Ids that have run out up to and with a tick."""
        ran_out: list[int] = []
        pop, due = self._due.pop, self._due
        # Once around meets every slot, however long nobody has called.
        for tick in range(max(self._now, now - self._mask - 1) + 1, now + 1):
            slot = self._slots[tick & self._mask]
            if not slot:
                continue
            self._slots[tick & self._mask] = []
            # A stale entry's timer is gone or stands in another slot.
            for id_ in slot:
                at = due[id_]
                if at and (at - tick) & self._mask == 0 and at <= now:
                    pop(id_)
                    ran_out.append(id_)
        self._now = max(self._now, now)
        return ran_out


class TickClock:
    """Ticks of a clock that is read elsewhere, without the time in which nobody read it.

    A process that stood still (stopped, swapped out, its machine asleep) has not read what came
    meanwhile; deadlines that went on running would take everybody for dead.

    Args:
        now: Seconds of a monotonic clock.
        longest_step_s: A reading that comes later than this counts as so much.
    """

    __slots__ = ("_begin", "_longest", "_read", "_tick_s", "tick")

    def __init__(
        self, now: float, tick_s: float, *, longest_step_s: float, first_tick: int = 0
    ) -> None:
        self._begin = now
        self._tick_s = tick_s
        self._longest = max(1, round(longest_step_s / tick_s))
        self._read = 0
        self.tick = first_tick

    def advance(self, now: float) -> bool:
        """Read the clock; whether there is a new tick."""
        read = int((now - self._begin) / self._tick_s)
        if read <= self._read:
            return False
        self.tick += min(read - self._read, self._longest)
        self._read = read
        return True
