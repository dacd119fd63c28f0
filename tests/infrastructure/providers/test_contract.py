"""The HTTP adapter against the real sandbox, as payment provider and as ERP."""

from collections.abc import Awaitable, Callable

import pytest

from application.ports.participants import Participant
from infrastructure.providers.participant import HttpParticipant
from tests.contracts.participant import ParticipantContract
from tests.sandbox import Sandbox


class TestPayment(ParticipantContract):
    @pytest.fixture
    def participant(self, payment: HttpParticipant) -> Participant:
        return payment

    @pytest.fixture
    def operation(self) -> str:
        return "payment.refund"

    @pytest.fixture
    def times_done(self, sandbox: Sandbox) -> Callable[[str], Awaitable[int]]:
        async def times(key: str) -> int:
            return sum(payout["key"] == key for payout in sandbox.ledger()["payouts"])

        return times


class TestErp(ParticipantContract):
    @pytest.fixture
    def participant(self, erp: HttpParticipant) -> Participant:
        return erp

    @pytest.fixture(params=["erp.authorise_return", "erp.post_refund", "erp.stop_shipment"])
    def operation(self, request: pytest.FixtureRequest) -> str:
        return str(request.param)

    @pytest.fixture
    def times_done(self, sandbox: Sandbox) -> Callable[[str], Awaitable[int]]:
        async def times(key: str) -> int:
            ledger = sandbox.ledger()
            actions = [*ledger["returns"], *ledger["postings"], *ledger["shipments"]]
            return sum(action["action_key"] == key for action in actions)

        return times
