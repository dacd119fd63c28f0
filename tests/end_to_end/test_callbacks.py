"""Providers' signed reports over HTTP: taken once, refused without a signature, limited."""

import base64
import json
import secrets
import time
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from standardwebhooks import Webhook  # somebody else's signature

from tests.end_to_end.people import API, problem
from tests.serving import Kefu, running

SECRET = "whsec_" + base64.b64encode(secrets.token_bytes(24)).decode()
PATH = f"{API}/providers/erp/callbacks"


@pytest.fixture(scope="module")
def kefu(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kefu]:
    """With an ERP that reports, and that does not answer calls: nobody listens on port 1."""
    settings = {
        "KEFU_ERP_URL": "http://127.0.0.1:1",
        "KEFU_ERP_CALLBACK_SECRETS": SECRET,
        "KEFU_LOGIN_PER_MINUTE": "30",
    }
    with running(tmp_path_factory.mktemp("callbacks") / "data", **settings) as system:
        yield system


def report(kefu: Kefu, key: str, secret: str = SECRET, **fields: Any) -> tuple[int, Any]:
    answer = {
        "idempotency_key": key,
        "operation": "erp.authorise_return",
        "id": "rma_1",
        "status": "succeeded",
        **fields,
    }
    body = json.dumps({"type": "erp.authorise_return", "data": answer})
    id, now = f"msg_{uuid.uuid4()}", int(time.time())
    moment = datetime.fromtimestamp(now, tz=UTC)
    headers = {
        "webhook-id": id,
        "webhook-timestamp": str(now),
        "webhook-signature": Webhook(secret).sign(id, moment, body),
    }
    status, found, _ = kefu.request("POST", PATH, body.encode(), None, headers)
    return status, found


def metric(kefu: Kefu, result: str) -> float:
    name = f'kefu_provider_callbacks_total{{provider="erp",result="{result}"}} '
    lines = kefu.get("/metrics")[1].splitlines()
    return sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith(name))


def saga(kefu: Kefu, admin: str) -> str:
    conversation = kefu.visitor()["conversation_id"]
    total, order = {"total": "9.00", "currency": "CNY"}, str(uuid.uuid4())
    assert kefu.request("PUT", f"{API}/orders/{order}", total, admin)[0] == 200
    limits = {"automatic_up_to": "9.00", "four_eyes_above": "9.00"}
    assert kefu.request("PUT", f"{API}/refund_policies/CNY", limits, admin)[0] == 200
    asked = {"order_reference": order, "amount": "1.00", "currency": "CNY", "reason": "x"}
    refund = kefu.post(f"{API}/conversations/{conversation}/refunds", asked, admin)
    return str(refund["refund_id"])


def test_a_signed_report_moves_its_saga_on_and_a_repeat_does_nothing(kefu: Kefu) -> None:
    admin = kefu.login()
    id = saga(kefu, admin)
    key = f"refund-{id}-inventory-1"
    assert report(kefu, key)[0] == 204
    _, found = kefu.get(f"{API}/sagas/{id}", admin)
    assert (found["steps"][0]["state"], found["steps"][0]["reference"]) == ("done", "rma_1")
    assert found["step"] == "payment"
    assert report(kefu, key)[0] == 204
    _, again = kefu.get(f"{API}/sagas/{id}", admin)
    types = [event["type"] for event in again["timeline"]]
    assert types.count("saga.call_succeeded.v1") == 1
    assert metric(kefu, "taken") == 2


def test_a_report_about_nothing_of_ours_is_answered_as_any_and_counted(kefu: Kefu) -> None:
    before = metric(kefu, "unknown")
    for key in ("somebody-elses-key", f"refund-{uuid.uuid4()}-inventory-1"):
        assert report(kefu, key)[0] == 204
    assert metric(kefu, "unknown") == before + 2


def test_what_is_not_signed_or_too_large_is_refused(kefu: Kefu) -> None:
    other = "whsec_" + base64.b64encode(secrets.token_bytes(24)).decode()
    status, found = report(kefu, "key", other)
    assert (status, found["code"]) == (401, "callback-refused")
    assert problem(kefu, "POST", PATH, {}, None) == (401, "callback-refused")
    payment = PATH.replace("erp", "payment")  # which is not configured
    assert problem(kefu, "POST", payment, {}, None) == (401, "callback-refused")
    assert problem(kefu, "POST", PATH.replace("erp", "bank"), {}, None)[0] == 422
    large = {"x": "x" * 70_000}
    assert problem(kefu, "POST", PATH, large, None) == (413, "payload-too-large")


def test_refused_reports_are_limited_and_good_ones_are_not(kefu: Kefu) -> None:
    answers = [problem(kefu, "POST", PATH, {}, None) for _ in range(40)]
    assert answers[0] == (401, "callback-refused")
    assert (429, "rate-limited") in answers
    assert report(kefu, "somebody-elses-key")[0] == 204
