"""A participant that nobody has set up: its sagas wait, and say for what."""

from typing import Final

from application.sagas.outcome import CallOutcome, OutcomeKind

NOT_CONFIGURED: Final = "not-configured"
"""Code of its outcomes; no failure of a participant, so no breaker counts it."""


class UnconfiguredParticipant:
    """`Participant` that does nothing and says so."""

    def __init__(self, variable: str) -> None:
        """`variable` is the setting that would name it."""
        self._detail = f"{variable} is not set."

    async def call(self, operation: str, key: str, body: bytes, timeout_s: float) -> CallOutcome:
        """As `Participant.call`."""
        return CallOutcome(OutcomeKind.NOT_EXECUTED, code=NOT_CONFIGURED, detail=self._detail)

    async def look_up(self, operation: str, key: str, timeout_s: float) -> CallOutcome:
        """As `Participant.look_up`."""
        return CallOutcome(OutcomeKind.UNKNOWN, code=NOT_CONFIGURED, detail=self._detail)
