"""The contract of `RefundViews`: one suite that every adapter of the port inherits."""

from abc import abstractmethod
from collections.abc import Awaitable, Callable

import pytest

from application.ports.refund_views import Person, RefundFilter, RefundViews, SagaFilter
from domain.errors import InvalidInput
from domain.refund.policy import RefundPolicy
from domain.refund.refund import RefundStatus
from domain.saga.state import Status
from tests.application.projections import sagas
from tests.application.projections.fakes import START_US, History

Project = Callable[[], Awaitable[RefundViews]]


async def _sagas(views: RefundViews, filter: SagaFilter) -> list[str]:
    return [row.saga.id for row in (await views.sagas(filter, 100, None)).data]


async def _refunds(views: RefundViews, filter: RefundFilter) -> list[str]:
    return [row.id for row in (await views.refunds(filter, 100, None)).data]


class RefundViewsContract:
    """Inherit, and give the two fixtures."""

    @pytest.fixture
    @abstractmethod
    def history(self) -> History:
        """Where the test says what happened."""

    @pytest.fixture
    @abstractmethod
    def project(self, history: History) -> Project:
        """Brings the views up to date with the history."""

    async def test_a_refund_names_who_asked_and_who_decided(
        self, history: History, project: Project
    ) -> None:
        history.agent("a2", "韩梅梅")
        history.api_key("k1", "erp")
        sagas.policy(history)
        sagas.request(history, "r1", by="api_key:k1")
        sagas.approve(history, "r1")
        sagas.request(history, "r2", by="agent:gone", currency="JPY")
        sagas.reject(history, "r2", by="policy")
        for event in sagas.parked("r1").events:
            history.happens("saga-r1", event)
        views = await project()
        first, second = await views.refund("r1"), await views.refund("r2")
        assert first is not None
        assert second is not None
        assert first.requested_by == Person("api_key", "k1", "erp")
        assert first.decided_by == Person("agent", "a2", "韩梅梅")
        assert first.saga_status is Status.PARKED
        assert first.policy == RefundPolicy("CNY", 500, 2_000, 100_000, True)
        assert second.requested_by == Person("agent", "gone", "")
        assert second.decided_by == Person("policy", "policy", "policy")
        assert (second.saga_status, second.policy) == (None, RefundPolicy("JPY"))
        assert (second.rejection_code, second.rejection_reason) == ("declined", "杯子没碎")
        assert first.lines[0].sku == "cup-7"
        found = await views.refunds_by_id(["r1", "none", "\0", "r2"])
        assert {row.id for row in found} == {"r1", "r2"}

    async def test_refunds_are_listed_newest_first_and_filtered(
        self, history: History, project: Project
    ) -> None:
        for number in range(5):
            order = "A-1" if number < 3 else "B-2"
            sagas.request(history, f"r{number}", f"c{number % 2}", order=order)
        sagas.reject(history, "r1")
        views = await project()
        first = await views.refunds(RefundFilter(), 3, None)
        rest = await views.refunds(RefundFilter(), 3, first.after_cursor)
        assert [row.id for row in first.data + rest.data] == ["r4", "r3", "r2", "r1", "r0"]
        assert rest.after_cursor is None
        assert await _refunds(views, RefundFilter(status=RefundStatus.REJECTED)) == ["r1"]
        assert await _refunds(views, RefundFilter(conversation_id="c1")) == ["r3", "r1"]
        assert await _refunds(views, RefundFilter(order_reference="B-2")) == ["r4", "r3"]
        assert await _refunds(views, RefundFilter(RefundStatus.APPROVED, "c1", "A-1")) == []

    async def test_sagas_are_listed_oldest_first_and_filtered(
        self, history: History, project: Project
    ) -> None:
        stories = [sagas.completed("s0"), sagas.parked("s1"), sagas.Story("s2", "c2")]
        for story in stories:
            for event in story.events:
                history.happens(f"saga-{story.saga.id}", event)
        views = await project()
        first = await views.sagas(SagaFilter(), 2, None)
        rest = await views.sagas(SagaFilter(), 2, first.after_cursor)
        assert [row.saga for row in first.data + rest.data] == [story.saga for story in stories]
        assert rest.after_cursor is None
        assert first.data[0].started_at_us == START_US + 1_000_000
        assert await _sagas(views, SagaFilter(status=Status.PARKED)) == ["s1"]
        assert await _sagas(views, SagaFilter(conversation_id="c2")) == ["s2"]
        assert await _sagas(views, SagaFilter(definition="cancellation")) == []
        until_us = first.data[1].started_at_us
        assert await _sagas(views, SagaFilter(started_until_us=until_us)) == ["s0", "s1"]

    async def test_policies_that_were_set_are_listed(
        self, history: History, project: Project
    ) -> None:
        for currency in ("USD", "CNY"):
            sagas.policy(history, currency)
        found = await (await project()).refund_policies()
        assert [policy.id for policy in found] == ["CNY", "USD"]

    async def test_what_does_not_exist_is_none_and_a_foreign_cursor_is_refused(
        self, history: History, project: Project
    ) -> None:
        views = await project()
        for id in ("no-such-id", "", "\x00", "\ud800"):
            assert await views.refund(id) is None
        assert (await views.refunds(RefundFilter(), 9, None)).data == []
        assert (await views.sagas(SagaFilter(), 9, None)).data == []
        assert await views.refund_policies() == []
        for ask in (
            views.refunds(RefundFilter(), 9, "?"),
            views.sagas(SagaFilter(), 9, "x" * 400),
            views.refunds(RefundFilter(order_reference="\x00"), 9, None),
        ):
            with pytest.raises(InvalidInput):
                await ask
