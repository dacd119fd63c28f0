"""The effect worker: makes the calls that sagas intend, asks for unknown outcomes, fires timers.

It folds the sagas from the log, as any reader does. What it does follows from the folded state
alone: a call is made because its intent is on disk, and made again with the same key when the
worker was killed before its outcome was. It decides nothing; the core does (application.sagas.
engine).
"""

import asyncio
import contextlib
import time
from collections.abc import Mapping
from typing import Final, Protocol

import structlog

from application.commands.saga import FireTimer, ReportOutcome
from application.ports.core import Core, Receipt, Request
from application.ports.event_store import EventFeed, RecordedEvent
from application.ports.participants import Participant
from application.ports.system import Clock
from application.queries.streams import StreamReader
from application.sagas.breaker import Breaker
from application.sagas.open_sagas import CATEGORY, Checkpoint, OpenSagas
from application.sagas.outcome import CallOutcome, OutcomeKind
from application.sagas.stats import SagaStats
from application.sagas.timers import Timers
from application.sagas.unconfigured import NOT_CONFIGURED
from domain.actors import SYSTEM
from domain.errors import DomainError, InfrastructureError
from domain.saga.state import PendingCall, Phase, Saga

_log = structlog.get_logger(__name__)
_READ: Final = 2_000
_WAIT_S: Final = 0.5
_CHECKPOINT_S: Final = 5.0
_FIRST_RETRY_S: Final = 0.05
_LAST_RETRY_S: Final = 2.0
_FIRE_AGAIN_S: Final = 1.0
_TO_DO: Final = frozenset({Phase.READY, Phase.ASKING})


class CheckpointStore(Protocol):
    """Where open sagas are kept between two starts. Blocking."""

    def load(self) -> Checkpoint | None:
        """The last one saved; None: there is none that can be used."""
        ...

    def save(self, checkpoint: Checkpoint) -> None:
        """Replace it, or leave the one before."""
        ...


class SagaWorker:
    """All open sagas of one log. Run one of them: two would only do the same work twice."""

    def __init__(
        self,
        feed: EventFeed,
        core: Core,
        streams: StreamReader,
        participants: Mapping[str, Participant],
        checkpoints: CheckpointStore,
        clock: Clock,
        *,
        call_timeout_s: float = 10.0,
        calls_at_once: int = 64,
    ) -> None:
        """`calls_at_once` is for each participant."""
        self._feed = feed
        self._core = core
        self._streams = streams
        self._participants = participants
        self._checkpoints = checkpoints
        self._clock = clock
        self._timeout_s = call_timeout_s
        self._at_once = calls_at_once
        self._open = OpenSagas()
        self._breakers = {name: Breaker() for name in participants}
        self._queues: dict[str, asyncio.Queue[str]] = {}
        self._taken: dict[str, tuple[str, int]] = {}
        """Saga -> its call that is queued or under way: key, and how much was known of it."""
        self._doubtful: set[str] = set()
        """Keys that a worker before this one may have called."""
        self._timers = Timers(self._open)
        self._set = asyncio.Event()
        self.stats = SagaStats(self._open, self._breakers)

    async def run(self, stop: asyncio.Event) -> None:
        """Until `stop` is set."""
        await self._catch_up()
        tasks = [asyncio.create_task(self._read_on()), asyncio.create_task(self._fire())]
        for name in self._participants:
            queue = self._queues[name] = asyncio.Queue()
            tasks += [asyncio.create_task(self._work(name, queue)) for _ in range(self._at_once)]
        for id in list(self._open.all):
            self._see(id)
        _log.info("sagas.ready", open=len(self._open.all), position=self._open.position)
        stopped = asyncio.create_task(stop.wait())
        done, _ = await asyncio.wait([stopped, *tasks], return_when=asyncio.FIRST_COMPLETED)
        for task in (stopped, *tasks):
            task.cancel()
        await asyncio.gather(stopped, *tasks, return_exceptions=True)
        await asyncio.to_thread(self._checkpoints.save, self._open.checkpoint())
        for task in done:
            if task is not stopped:
                task.result()  # a bug: the role ends with it, and is started again

    async def _catch_up(self) -> None:
        """Fold what has happened before anything is done about it."""
        found = await asyncio.to_thread(self._checkpoints.load)
        if found is not None and found.position <= self._feed.durable_position():
            self._open.restore(found)
        while self._open.position < self._feed.durable_position():
            await self._take(await asyncio.to_thread(self._read, 0.0))
        for one in self._open.all.values():
            pending = one.state.pending
            if pending is not None and pending.phase is Phase.READY:
                self._doubtful.add(pending.key)

    async def _read_on(self) -> None:
        saved, due = self._open.position, time.monotonic() + _CHECKPOINT_S
        while True:
            for id in await self._take(await asyncio.to_thread(self._read, _WAIT_S)):
                self._see(id)
            if self._open.position != saved and (began := time.monotonic()) > due:
                checkpoint = self._open.checkpoint()
                await asyncio.to_thread(self._checkpoints.save, checkpoint)
                # A large one more rarely: at most a hundredth of the time goes into it.
                saved, ended = checkpoint.position, time.monotonic()
                due = ended + max(_CHECKPOINT_S, 100 * (ended - began))

    def _read(self, timeout_s: float) -> tuple[list[RecordedEvent], int]:
        after = self._open.position
        if timeout_s:
            self._feed.wait(after, timeout_s)
        found = self._feed.read_matching(after, _READ, categories=(CATEGORY,))
        return found.events, found.next_position

    async def _take(self, read: tuple[list[RecordedEvent], int]) -> set[str]:
        """Fold events; the ids of the sagas that they change."""
        events, position = read
        changed, reopened = set[str](), set[str]()
        for recorded in events:
            id = self._open.apply(recorded)
            if id is None:
                reopened.add(recorded.stream)
            else:
                changed.add(id)
        for stream in reopened:
            whole = await self._stream(stream)
            id = stream.partition("-")[2]
            self._open.reopen(id, whole)
            changed.add(id)
        self._open.position = position
        return changed

    async def _stream(self, stream: str) -> list[RecordedEvent]:
        pause = _FIRST_RETRY_S
        while True:
            try:
                return [event async for event in self._streams.events([stream])]
            except InfrastructureError as error:
                _log.warning("sagas.core_unavailable", error=error.detail)
            await asyncio.sleep(pause)
            pause = min(2 * pause, _LAST_RETRY_S)

    def _see(self, id: str) -> None:
        """Queue what a saga wants done, and set its timer."""
        one = self._open.all.get(id)
        state = one.state if one is not None else None
        todo = _to_do(state)
        if state is None or todo is None:
            self._taken.pop(id, None)
        elif self._taken.get(id) != (token := (todo.key, todo.facts)):
            self._taken[id] = token
            name = todo.operation.partition(".")[0]
            self._queues[name].put_nowait(id)
        if state is not None and (timer := state.timer) is not None:
            self._timers.set(timer.at_us, timer.id, id)
            self._set.set()

    async def _work(self, name: str, queue: asyncio.Queue[str]) -> None:
        participant, breaker = self._participants[name], self._breakers[name]
        while True:
            id = await queue.get()
            if self._todo_of(id) is None:
                continue
            await breaker.admitted()
            todo = self._todo_of(id)
            if todo is None:
                breaker.release()
                continue
            started = time.perf_counter()
            try:
                outcome, attempt = await self._ask_or_call(participant, todo)
            except Exception as error:  # noqa: BLE001 - an adapter's bug: one call's trouble
                _log.exception("sagas.participant_failed", participant=name, key=todo.key)
                outcome = CallOutcome(
                    OutcomeKind.UNKNOWN, "", "internal-error", type(error).__name__
                )
                attempt = 0 if todo.phase is Phase.ASKING else todo.attempts + 1
            self.stats.latency[name].observe(time.perf_counter() - started)
            self.stats.outcomes[name, todo.operation, outcome.kind.value] += 1
            if outcome.code == NOT_CONFIGURED:
                breaker.release()
            else:
                breaker.record(outcome.kind)
            await self._tell(ReportOutcome(id, todo.key, attempt, outcome))

    def _todo_of(self, id: str) -> PendingCall | None:
        """The call to be made, unless it was taken care of meanwhile."""
        one = self._open.all.get(id)
        todo = _to_do(one.state) if one is not None else None
        if todo is None or self._taken.get(id) != (todo.key, todo.facts):
            return None
        return todo

    async def _ask_or_call(
        self, participant: Participant, todo: PendingCall
    ) -> tuple[CallOutcome, int]:
        """The outcome, and the attempt that it is counted as; 0: a question."""
        operation, key, timeout_s = todo.operation, todo.key, self._timeout_s
        asking = todo.phase is Phase.ASKING
        if asking or key in self._doubtful:
            outcome = await participant.look_up(operation, key, timeout_s)
            if asking:
                return outcome, 0
            self._doubtful.discard(key)
            if outcome.kind is not OutcomeKind.NOT_FOUND:
                return outcome, todo.attempts + 1
        body = todo.body.encode()
        return await participant.call(operation, key, body, timeout_s), todo.attempts + 1

    async def _fire(self) -> None:
        while True:
            due = self._timers.due(self._clock.now_us())
            await asyncio.gather(*(self._fire_one(id, timer) for id, timer in due))
            if due:
                continue
            self._set.clear()
            next_us = self._timers.next_us()
            left_s = _WAIT_S if next_us is None else (next_us - self._clock.now_us()) / 1e6
            with contextlib.suppress(TimeoutError):
                # At most half a second: the wall clock may be set meanwhile. And no `wait_for`:
                # before Python 3.12 it forgets a cancellation that comes with the event
                # (https://github.com/python/cpython/issues/81839).
                async with asyncio.timeout(min(max(left_s, 0.001), _WAIT_S)):
                    await self._set.wait()

    async def _fire_one(self, id: str, timer_id: str) -> None:
        if await self._tell(FireTimer(id, timer_id)) is not None:
            self.stats.timers_fired += 1
        # The core's clock decides; if it is behind, this is tried again.
        again_us = self._clock.now_us() + int(_FIRE_AGAIN_S * 1e6)
        self._timers.set(again_us, timer_id, id)

    async def _tell(self, command: ReportOutcome | FireTimer) -> Receipt | None:
        """Have the core decide; None: it refuses, which the saga's deadline brings up again."""
        pause = _FIRST_RETRY_S
        while True:
            try:
                return await self._core.execute(Request(command, SYSTEM, command.saga_id))
            except DomainError as error:
                self.stats.refused += 1
                _log.error("sagas.refused", error=error.detail, code=error.code)
                return None
            except InfrastructureError as error:
                _log.warning("sagas.core_unavailable", error=error.detail, retry_s=pause)
            await asyncio.sleep(pause)
            pause = min(2 * pause, _LAST_RETRY_S)


def _to_do(saga: Saga | None) -> PendingCall | None:
    """The call to be made or asked for now."""
    if saga is None or saga.parked is not None or saga.outcome is not None:
        return None
    pending = saga.pending
    return pending if pending is not None and pending.phase in _TO_DO else None
