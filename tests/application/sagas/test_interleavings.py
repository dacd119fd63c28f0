"""2,000 refunds among crashes, duplicates, reorders, lost answers and clock jumps."""

import pytest

from domain.order import order as orders
from domain.refund import refund as refunds
from domain.saga.state import TERMINAL
from tests.application.sagas.world import World

WORLDS, REFUNDS = 250, 8
STEPS = 260


def check_always(world: World) -> None:
    for order, total in world.totals.items():
        assert world.provider.payouts(order) <= total
        state = world.state(orders.DECIDER, orders.order_id(order))
        assert state.available_minor >= 0
    for key, times in world.provider.executed.items():
        assert times == 1, key
    for id in world.refund_ids:
        assert len(world.provider.paid(id)) <= 1
        saga = world.saga(id)
        if saga.definition is not None and saga.status not in TERMINAL:
            assert saga.parked is not None or saga.timer is not None


def check_at_the_end(world: World) -> None:
    for id in world.refund_ids:
        refund = world.state(refunds.DECIDER, id)
        order = world.state(orders.DECIDER, orders.order_id(refund.order_reference))
        completed = refund.status is refunds.RefundStatus.COMPLETED
        assert len(world.provider.paid(id)) == (1 if completed else 0), id
        assert (id in order.paid) == completed
        assert id not in order.reserved
        given_up = {*world.saga(id).given_up, *world.saga(id).undo_given_up}
        for step, operation in (
            ("inventory", "erp.authorise_return"),
            ("posting", "erp.post_refund"),
        ):
            if step not in given_up:
                live = world.provider.live(id, operation)
                assert len(live) == (1 if completed else 0), (id, step)


@pytest.mark.parametrize("part", range(10))
def test_whatever_happens_a_refund_is_paid_once_or_not_at_all(part: int) -> None:
    for seed in range(part * WORLDS // 10, (part + 1) * WORLDS // 10):
        world = World(seed, REFUNDS)
        try:
            for _ in range(STEPS):
                world.step()
                check_always(world)
            world.calm_down()
            check_always(world)
            check_at_the_end(world)
        except Exception as error:
            raise AssertionError(f"seed {seed}: {error!r}") from error
