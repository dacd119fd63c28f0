"""What every `Participant` does; an adapter's test inherits it."""

import asyncio
from collections.abc import Awaitable, Callable
from uuid import uuid4

from application.ports.participants import Participant
from application.sagas.outcome import OutcomeKind

TIMEOUT_S = 30.0
"""Bound of every call; nothing here takes a tenth of it."""


class ParticipantContract:
    """Inherit it and give the fixtures.

    `participant` and `unreachable` are participants, the second one that nobody answers for;
    `operation` is one that is done at once, `bodies` gives another body for it at each call, and
    `times_done(key)` says how often it was done.
    """

    async def test_what_was_done_has_a_reference_and_is_found_by_its_key(
        self, participant: Participant, operation: str, bodies: Callable[[], bytes]
    ) -> None:
        key = str(uuid4())
        done = await participant.call(operation, key, bodies(), TIMEOUT_S)
        found = await participant.look_up(operation, key, TIMEOUT_S)
        assert done.kind is found.kind is OutcomeKind.SUCCEEDED
        assert done.reference == found.reference != ""

    async def test_a_repeated_call_gets_the_first_answer_and_is_done_once(
        self,
        participant: Participant,
        operation: str,
        bodies: Callable[[], bytes],
        times_done: Callable[[str], Awaitable[int]],
    ) -> None:
        key, body = str(uuid4()), bodies()
        answers = [await participant.call(operation, key, body, TIMEOUT_S) for _ in range(3)]
        assert answers[0] == answers[1] == answers[2]
        assert await times_done(key) == 1

    async def test_calls_of_one_key_at_the_same_time_are_done_once(
        self,
        participant: Participant,
        operation: str,
        bodies: Callable[[], bytes],
        times_done: Callable[[str], Awaitable[int]],
    ) -> None:
        key, body = str(uuid4()), bodies()
        calls = [participant.call(operation, key, body, TIMEOUT_S) for _ in range(8)]
        kinds = {outcome.kind for outcome in await asyncio.gather(*calls)}
        assert OutcomeKind.SUCCEEDED in kinds
        assert kinds <= {OutcomeKind.SUCCEEDED, OutcomeKind.UNKNOWN}
        assert await times_done(key) == 1

    async def test_a_key_with_another_body_is_declined(
        self, participant: Participant, operation: str, bodies: Callable[[], bytes]
    ) -> None:
        key = str(uuid4())
        await participant.call(operation, key, bodies(), TIMEOUT_S)
        other = await participant.call(operation, key, bodies(), TIMEOUT_S)
        assert other.kind is OutcomeKind.DECLINED
        assert other.code != ""

    async def test_a_key_that_was_never_used_is_not_found(
        self, participant: Participant, operation: str
    ) -> None:
        found = await participant.look_up(operation, str(uuid4()), TIMEOUT_S)
        assert found.kind is OutcomeKind.NOT_FOUND

    async def test_when_nobody_is_there_the_call_was_not_made_and_the_question_not_answered(
        self, unreachable: Participant, operation: str, bodies: Callable[[], bytes]
    ) -> None:
        key = str(uuid4())
        called = await unreachable.call(operation, key, bodies(), TIMEOUT_S)
        found = await unreachable.look_up(operation, key, TIMEOUT_S)
        assert (called.kind, found.kind) == (OutcomeKind.NOT_EXECUTED, OutcomeKind.UNKNOWN)
