"""A whole system and a real provider: a refund over HTTP is paid; rebuilding pays nothing."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests import sandbox as sandboxes
from tests.sandbox import Sandbox
from tests.serving import Kefu, running, wait_until

API = "/api/v1"
ALERTS = Path(__file__).parents[2] / "deploy/prometheus/alerts.yaml"


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Kefu, Sandbox]]:
    directory = tmp_path_factory.mktemp("paid")
    with sandboxes.running(directory / "sandbox") as sandbox:
        urls = {"KEFU_PAYMENT_URL": sandbox.url, "KEFU_ERP_URL": sandbox.url}
        with running(directory / "data", **urls) as kefu:
            admin = kefu.login()
            policy = {"automatic_up_to": "50.00", "four_eyes_above": "500.00", "agent_daily": None}
            assert kefu.request("PUT", f"{API}/refund_policies/CNY", policy, admin)[0] == 200
            yield kefu, sandbox


def paid(kefu: Kefu, order: str) -> str:
    """A refund of 20.00 CNY that has come to its end; its id."""
    admin, session = kefu.login(), kefu.visitor()
    total = {"total": "99.00", "currency": "CNY"}
    assert kefu.request("PUT", f"{API}/orders/{order}", total, admin)[0] == 200
    body = {"order_reference": order, "amount": "20.00", "currency": "CNY", "reason": "broken"}
    path = f"{API}/conversations/{session['conversation_id']}/refunds"
    id = str(kefu.post(path, body, admin)["refund_id"])

    def completed() -> bool:
        status, found = kefu.get(f"{API}/refunds/{id}", admin)
        return status == 200 and found["status"] == "completed"

    wait_until(completed, 60, "the refund is completed")
    return id


def test_a_refund_within_the_policy_is_paid_once_and_its_order_knows(
    system: tuple[Kefu, Sandbox],
) -> None:
    kefu, sandbox = system
    id = paid(kefu, "P-1")
    assert sandbox.ledger()["by_refund"][id]["settled_minor"] == 2_000
    order = kefu.get(f"{API}/orders/P-1", kefu.login())[1]
    assert (order["paid"], order["reserved"], order["available"]) == ("20.00", "0.00", "79.00")


def test_rebuilding_and_verifying_the_views_calls_nobody(system: tuple[Kefu, Sandbox]) -> None:
    kefu, sandbox = system
    ids = [paid(kefu, f"R-{n}") for n in range(3)]
    before = sandbox.calls()
    kefu.cli("views", "rebuild")
    kefu.cli("views", "verify")
    kefu.cli("log", "verify")
    after = paid(kefu, "R-last")  # whoever reads the log has read on behind the rebuild
    calls = sandbox.calls()["by_key"]
    assert {key: n for key, n in calls.items() if after not in key} == before["by_key"]
    assert all(sandbox.ledger()["by_refund"][id]["settled"] == 1 for id in ids)


def test_every_metric_that_an_alert_asks_for_is_served(system: tuple[Kefu, Sandbox]) -> None:
    kefu, _ = system
    paid(kefu, "M-1")
    metrics = str(kefu.get("/metrics")[1])
    rules: list[dict[str, Any]] = yaml.safe_load(ALERTS.read_text())["groups"][0]["rules"]
    asked = {name for rule in rules for name in re.findall(r"\bkefu_\w+", rule["expr"])}
    assert len(asked) >= 7
    served = set(re.findall(r"^# TYPE (\w+)", metrics, re.M))
    for name in asked:
        assert name.removesuffix("_bucket") in served, name
    assert (
        'kefu_saga_calls_total{operation="payment.refund",outcome="succeeded"'
        in metrics.replace('participant="payment",', "")
    )
