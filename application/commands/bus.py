"""The command bus of the core: decide, append together, answer when it is on disk.

One task drains the queue, decides each command on cached states and hands all their batches to the
store together, so that they share a group commit. While that group is on its way to the disk the
next one is decided on the states as they will be; groups complete in order. Any failed append
evicts every cached state, since some may hold events that never became durable.
"""

import asyncio
import time
from collections import deque
from collections.abc import Callable, Container, Iterator
from typing import Any, Final

import msgspec

from application.commands.causes import metadata_of
from application.commands.idempotency import complete_request, earlier_answer
from application.commands.key_work import KeyWork
from application.commands.registry import HANDLERS, NEW_STREAMS, require_permitted
from application.commands.state_cache import StateCache
from application.commands.stats import CommandStats
from application.commands.unit_of_work import SAGAS, Erasure, UnitOfWork
from application.ports.core import Receipt, Request
from application.ports.erasure import CertificateSigner
from application.ports.event_store import EventStore, StreamAppend, WrongExpectedVersion
from application.ports.subject_keys import SubjectKeys
from application.ports.system import Clock
from application.queries.core import CoreQuery
from application.queries.erasure import Erasures
from application.queries.service import CoreQueries
from application.sagas.definition import Definitions
from domain.errors import Busy, KefuError, Unavailable

DEFAULT_QUEUE_LIMIT: Final = 10_000
_MAX_GROUP: Final = 256
_MAX_GROUPS_IN_FLIGHT: Final = 3
_MAX_ATTEMPTS: Final = 3


Done = Callable[[Receipt | Exception], None]
"""Told what a command came to, once, in the event loop of the bus."""


class _Pending(msgspec.Struct, frozen=True, gc=False):
    request: Request
    done: Done
    submitted: float
    attempt: int


class _Decided(msgspec.Struct, frozen=True, gc=False):
    pending: _Pending
    answer: dict[str, Any]
    appends: list[StreamAppend]
    """One atomic batch; empty: the command had nothing new to say."""
    unanswered: int
    """Events at the end of the batch that the receipt's position leaves out."""
    answer_stream: str | None
    erasure: Erasure | None


class CommandBus:
    """`Core` within the core process. Create and use it in one event loop."""

    def __init__(
        self,
        store: EventStore,
        clock: Clock,
        *,
        queue_limit: int = DEFAULT_QUEUE_LIMIT,
        cache: StateCache | None = None,
        keys: SubjectKeys | None = None,
        signer: CertificateSigner | None = None,
        sagas: Definitions = SAGAS,
    ) -> None:
        """Without keys personal fields are written in clear; without a signer there are no
        certificates.
        """
        self.stats = CommandStats()
        self.stats.queue_limit = queue_limit
        self._store = store
        self._sagas = sagas
        self._clock = clock
        self._cache = cache if cache is not None else StateCache()
        self._key_work = work = KeyWork(keys, self._cache)
        erasures = Erasures(store, work.opener, keys, signer) if keys and signer else None
        self._queries = CoreQueries(store, clock, self._cache, work.opener, erasures)
        self._queue: deque[_Pending] = deque()
        self._limit = queue_limit
        self._wake = asyncio.Event()
        self._slots = asyncio.Semaphore(_MAX_GROUPS_IN_FLIGHT)
        self._last_group: asyncio.Task[None] | None = None
        self._loop_task: asyncio.Task[None] | None = None
        self._closed = False

    def start(self) -> None:
        """Begin to take commands from the queue."""
        self._loop_task = asyncio.create_task(self._run(), name="command-bus")

    async def close(self) -> None:
        """Refuse new commands, finish those in the queue, stop."""
        self._closed = True
        self._wake.set()
        if self._loop_task is not None:
            await self._loop_task
        if self._last_group is not None:
            await self._last_group
        while self._queue:  # commands that were to be decided again
            self._fail(self._queue.popleft(), Unavailable("The core stopped; send it again."))

    def submit(self, request: Request, done: Done) -> None:
        """Queue a command; `done` gets its receipt when its events are on disk, or its error.

        A call and no future: with thousands of commands under way that is a fifth of their cost.

        Raises:
            Busy: the queue is full; nothing was queued.
            Unavailable: the core is stopping.
        """
        if self._closed:
            raise Unavailable("The core is stopping; send the command again.")
        if len(self._queue) >= self._limit:
            self._count(request, Busy.code)
            raise Busy("Too many commands are waiting; send this one again in a moment.")
        self._queue.append(_Pending(request, done, time.perf_counter(), 1))
        self.stats.queue_depth = len(self._queue)
        self._wake.set()

    async def execute(self, request: Request) -> Receipt:
        """As `Core.execute`."""
        future: asyncio.Future[Receipt] = asyncio.get_running_loop().create_future()

        def done(outcome: Receipt | Exception) -> None:
            if future.done():
                return  # the caller was cancelled
            if isinstance(outcome, Exception):
                future.set_exception(outcome)
            else:
                future.set_result(outcome)

        self.submit(request, done)
        return await future

    async def query(self, query: CoreQuery) -> Any:
        """As `Core.query`."""
        return self._queries.answer(query)

    async def _run(self) -> None:
        while True:
            if not self._queue:
                if self._closed:
                    return
                self._wake.clear()
                await self._wake.wait()
                continue
            await self._slots.acquire()
            # Let every command that arrived in this turn of the event loop join the group.
            await asyncio.sleep(0)
            decided = self._decide_queued()
            if self._key_work.unsaved:
                decided = await self._with_saved_keys(decided)
            self._last_group = asyncio.create_task(self._complete(decided, self._last_group))

    async def _with_saved_keys(self, decided: list[_Decided]) -> list[_Decided]:
        """The group, when its new keys are durable; none of it when they can't be."""
        try:
            await self._key_work.save()
        except Exception as error:  # noqa: BLE001 - goes to the callers; the bus must go on
            self._cache.clear()
            for one in decided:
                self._fail(one.pending, error)
            return []
        return decided

    def _decide_queued(self) -> list[_Decided]:
        decided: list[_Decided] = []
        now_us = self._clock.now_us()
        queue = self._queue
        group = [queue.popleft() for _ in range(min(len(queue), _MAX_GROUP))]
        try:
            absent = self._absent(group)
        except Exception as error:  # noqa: BLE001 - goes to the callers; the bus must go on
            for pending in group:
                self._fail(pending, error)
            group = []
        for pending in group:
            try:
                answer, uow, appends = self._decide(pending.request, now_us, absent)
            except Exception as error:  # noqa: BLE001 - goes to the caller, whatever it is
                # A refusal, or a bug: it must not take the other commands of the group with it.
                self._fail(pending, error)
                continue
            keeps = pending.request.idempotency is not None and uow.answer_stream is None
            stream, erasure = uow.answer_stream, uow.erasure
            decided.append(_Decided(pending, answer, appends, int(keeps), stream, erasure))
        self.stats.queue_depth = len(self._queue)
        return decided

    def _absent(self, group: list[_Pending]) -> Container[str]:
        """Streams that the group is about to begin and that are not in the store."""
        wanted = []
        for pending in group:
            command = pending.request.command
            name = NEW_STREAMS.get(type(command))
            if name is not None:
                wanted.append(name(command, pending.request.actor))
        return self._store.absent(wanted) if wanted else ()

    def _decide(
        self, request: Request, now_us: int, absent: Container[str]
    ) -> tuple[dict[str, Any], UnitOfWork, list[StreamAppend]]:
        require_permitted(request.command, request.actor)
        work = self._key_work
        uow = UnitOfWork(
            self._store, self._cache, now_us, absent, work.opener, work.sealer, self._sagas
        )
        key = request.idempotency
        answer = earlier_answer(uow, request, key) if key is not None else None
        if answer is None:
            answer = HANDLERS[type(request.command)](uow, request.command, request.actor)
            if key is not None:
                complete_request(uow, request, key, answer)
        appends = uow.appends(metadata_of(request))
        uow.commit_to_cache()
        return answer, uow, appends

    async def _complete(
        self, decided: list[_Decided], previous: "asyncio.Task[None] | None"
    ) -> None:
        """Append a group and answer its commands, after those of the group before it."""
        outcomes: Iterator[int | WrongExpectedVersion] = iter(())
        failure: Exception | None = None
        batches = [one.appends for one in decided if one.appends]
        try:
            if batches:
                outcomes = iter(await self._store.append_all(batches))
        except Exception as error:  # noqa: BLE001 - goes to every caller of the group
            self._cache.clear()
            failure = error
        finally:
            self._slots.release()
        if previous is not None:
            await asyncio.wait((previous,))
        self.stats.groups += 1
        self.stats.grouped_commands += len(decided)
        self.stats.cached_states = len(self._cache)
        now = time.perf_counter()
        for one in decided:
            try:
                if failure is not None:
                    raise failure
                outcome = next(outcomes) if one.appends else None
                if one.erasure is not None and not isinstance(outcome, WrongExpectedVersion):
                    await self._key_work.erase(one.erasure)
                self._answer(one, outcome, now)
            except Exception as error:  # noqa: BLE001 - goes to the caller, whatever it is
                self._fail(one.pending, error)

    def _answer(
        self, one: _Decided, outcome: int | WrongExpectedVersion | None, now: float
    ) -> None:
        if isinstance(outcome, WrongExpectedVersion):
            self._retry(one, outcome)
            return
        if one.answer_stream is not None:
            recorded = self._store.read_stream(one.answer_stream, limit=1)
            if not recorded:
                # The command that this one repeats was in a group that could not be written.
                raise Unavailable("The first attempt failed; send it again.")
            position = recorded[0].position - _is_idempotency(one.answer_stream)
        elif outcome is not None:
            position = outcome - one.unanswered
        else:
            position = self._store.durable_position
        self._observe(one.pending, "ok", now)
        one.pending.done(Receipt(position, one.answer))

    def _retry(self, one: _Decided, failure: WrongExpectedVersion) -> None:
        """Somebody else wrote first: decide again on fresh states, a few times at most."""
        self._cache.clear()
        pending = one.pending
        if pending.attempt >= _MAX_ATTEMPTS:
            raise failure
        self._queue.append(msgspec.structs.replace(pending, attempt=pending.attempt + 1))
        self._wake.set()

    def _fail(self, pending: _Pending, error: Exception) -> None:
        code = error.code if isinstance(error, KefuError) else "internal-error"
        self._observe(pending, code, time.perf_counter())
        pending.done(error)

    def _observe(self, pending: _Pending, outcome: str, now: float) -> None:
        self._count(pending.request, outcome)
        self.stats.seconds.observe(now - pending.submitted)

    def _count(self, request: Request, outcome: str) -> None:
        self.stats.commands[type(request.command).__name__, outcome] += 1


def _is_idempotency(stream: str) -> bool:
    return stream.startswith("idempotency-")
