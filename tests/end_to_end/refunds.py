"""What the tests of refunds over HTTP do again and again."""

import uuid
from typing import Any

from tests.end_to_end.people import API, World, fresh, problem
from tests.serving import wait_until

FOUR_EYES = {"automatic_up_to": "0", "four_eyes_above": "0"}


def register(world: World, currency: str, total: str = "100.00") -> str:
    """A new order; numbers may hold slashes."""
    reference = f"2026/{uuid.uuid4()}"
    body = {"total": total, "currency": currency}
    status, found, _ = world.kefu.request("PUT", f"{API}/orders/{reference}", body, world.admin)
    assert (status, found["available"]) == (200, total)
    return reference


def set_policy(world: World, currency: str, **limits: Any) -> None:
    """Of a currency that no other test has."""
    path = f"{API}/refund_policies/{currency}"
    status, found, _ = world.kefu.request("PUT", path, {**FOUR_EYES, **limits}, world.admin)
    assert status == 200, found


def body_of(order: str, currency: str, amount: str) -> dict[str, Any]:
    return {
        "order_reference": order,
        "amount": amount,
        "currency": currency,
        "reason": "杯子碎了",
        "lines": [{"sku": "cup-7", "quantity": 1, "amount": amount}],
    }


def ask(world: World, conversation: str, order: str, currency: str, amount: str) -> Any:
    return world.kefu.post(f"{conversation}/refunds", body_of(order, currency, amount), world.agent)


def decide(world: World, asked: dict[str, Any], token: str, **more: Any) -> tuple[int, str]:
    path = f"{API}/refunds/{asked['refund_id']}/{more.pop('what', 'approve')}"
    return problem(world.kefu, "POST", path, more, token)


def approve(world: World, asked: dict[str, Any], token: str) -> Any:
    return world.kefu.post(f"{API}/refunds/{asked['refund_id']}/approve", {}, token)


def read(world: World, path: str, token: str, after: dict[str, Any]) -> Any:
    """Once the views hold what the receipt says, however busy the machine is."""

    def answered() -> Any:
        status, found = world.kefu.get(path, token, headers=fresh(after))
        assert status in (200, 503), found
        return found if status == 200 else None

    return wait_until(answered, 60, "the views hold it")


def shown(world: World, receipt: dict[str, Any], token: str) -> Any:
    return read(world, f"{API}/refunds/{receipt['refund_id']}", token, receipt)


def running_saga(world: World, conversation: str, currency: str) -> str:
    """A saga that waits for a provider that nobody has configured."""
    set_policy(world, currency, automatic_up_to="50.00", four_eyes_above="50.00")
    asked = ask(world, conversation, register(world, currency), currency, "5.00")
    return str(asked["refund_id"])
