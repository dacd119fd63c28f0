"""Reads that are events: an auditor's every read, and whatever a route calls an audited one.

The event is written before the answer is given (ADR 0019). What belongs to one reading, as the
pages of a list or the polls of a feed, is written once.
"""

from collections import OrderedDict
from typing import Any, Final, NamedTuple

from starlette.requests import HTTPConnection

from application.commands.audit import RecordRead
from application.ports.core import Core, Request
from application.ports.system import Clock
from application.queries.core import Principal
from domain.errors import InfrastructureError, Unavailable

SAME_READING_S: Final = 60
"""A read so soon after the last one of the same thing belongs to the same reading..."""
LONGEST_READING_S: Final = 3_600
"""...but a reading that goes on for longer is told of again."""
MAX_READINGS: Final = 10_000
_PAGING: Final = frozenset({"limit", "cursor", "after_seq", "before_seq", "as_of"})
"""Parameters that move within one reading. `after` of the feed is looked at by itself."""
_WORDS: Final = frozenset({"q"})
"""What people search for may be a person's name, which could then never be erased."""
_MAX_CHARS: Final = 200
_PREFIX: Final = "/api/v1/"


class _Reading(NamedTuple):
    begun_us: int
    last_us: int
    after: int
    """Where in the feed it began; going back before that is another reading."""


class ReadRecorder:
    """Writes reads into the log, each reading once."""

    def __init__(self, core: Core, clock: Clock) -> None:
        self._core = core
        self._clock = clock
        self._readings: OrderedDict[Any, _Reading] = OrderedDict()

    async def record(self, connection: HTTPConnection, principal: Principal) -> None:
        """Return when the read that is asked for is on disk as an event.

        Raises:
            Unavailable: it could not be written; the read must not be answered.
        """
        what, subject, filters = _described(connection)
        after = int(filters.get("after", "0")) if filters.get("after", "0").isdigit() else 0
        same = {key: value for key, value in filters.items() if key not in _PAGING | {"after"}}
        key = (principal.actor.id, what, subject, tuple(sorted(same.items())))
        now_us = self._clock.now_us()
        known = self._readings.get(key)
        if known is not None and _goes_on(known, after, now_us):
            self._keep(key, known._replace(last_us=now_us))
            return
        command = RecordRead(what, subject, filters)
        correlation = connection.scope.get("state", {}).get("correlation_id", "")
        try:
            await self._core.execute(Request(command, principal.actor, correlation))
        except InfrastructureError as error:
            raise Unavailable(
                f"This read can't be recorded, so it is not answered: {error.detail}"
            ) from error
        self._keep(key, _Reading(now_us, now_us, after))

    def _keep(self, key: Any, reading: _Reading) -> None:
        self._readings[key] = reading
        self._readings.move_to_end(key)
        while len(self._readings) > MAX_READINGS:
            self._readings.popitem(last=False)


def _goes_on(known: _Reading, after: int, now_us: int) -> bool:
    return (
        now_us - known.last_us <= SAME_READING_S * 1_000_000
        and now_us - known.begun_us <= LONGEST_READING_S * 1_000_000
        and after >= known.after
    )


def _described(connection: HTTPConnection) -> tuple[str, str | None, dict[str, str]]:
    """The kind of read, the one thing that it is about, and its filters."""
    route = connection.scope["route"]
    parts = route.path.removeprefix(_PREFIX).strip("/").split("/")
    what = "/".join(part for part in parts if not part.startswith("{"))
    ids = list(connection.path_params.values())
    filters = {
        key: "(not kept)" if key in _WORDS else value[:_MAX_CHARS]
        for key, value in sorted(connection.query_params.items())
        if key in _known_parameters(route)
    }
    return what, str(ids[-1])[:_MAX_CHARS] if ids else None, filters


def _known_parameters(route: Any) -> frozenset[str]:
    return frozenset(field.alias for field in route.dependant.query_params)
