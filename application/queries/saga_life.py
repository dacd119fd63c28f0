"""The life of a saga, folded from its stream: always as new as the log."""

from typing import NamedTuple, cast

from application.queries.life import LifeEvent, Step, named, open_step
from application.queries.streams import StreamReader
from application.sealing import Opener
from domain.errors import SagaNotFound
from domain.saga.events import SagaEvent
from domain.saga.saga import DECIDER
from domain.saga.state import Saga


class SagaLife(NamedTuple):
    """A saga, and how it came to be as it is."""

    saga: Saga
    events: list[SagaEvent]
    timeline: list[LifeEvent]
    started_us: int
    updated_us: int


async def saga_life(streams: StreamReader, opener: Opener, saga_id: str) -> SagaLife:
    """Everything about one saga.

    Raises:
        SagaNotFound: it was not started.
        UndecodableEvent: a newer kefu wrote an event that this one can't fold.
    """
    steps: list[Step] = []
    events: list[SagaEvent] = []
    saga = Saga(saga_id)
    async for recorded in streams.events([DECIDER.stream(saga_id)]):
        steps.append(open_step(opener, recorded))
        event = cast(SagaEvent, opener.decode(recorded))
        events.append(event)
        saga = DECIDER.evolve(saga, event)
    if not steps:
        raise SagaNotFound(saga_id)
    timeline = await named(streams, opener, steps)
    times = [step.recorded.recorded_us for step in steps]
    return SagaLife(saga, events, timeline, times[0], times[-1])
