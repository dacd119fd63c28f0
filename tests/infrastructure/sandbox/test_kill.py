"""SIGKILL in the middle of load: what was acknowledged is there, and nothing is there twice."""

import asyncio
import socket
from collections import Counter
from uuid import uuid4

import msgspec
import pytest

from application.sagas.outcome import CallOutcome, OutcomeKind
from infrastructure.providers.participant import HttpParticipant
from infrastructure.providers.profile import PAYMENT
from infrastructure.providers.requests import Authentication
from tests.infrastructure.sandbox.conftest import refund
from tests.sandbox import Sandbox
from tests.serving import wait_until

TIMEOUT_S = 30.0
CALLERS = 16


@pytest.mark.faults
async def test_no_acknowledged_payout_is_lost_and_none_is_doubled(own_sandbox: Sandbox) -> None:
    participant = HttpParticipant(own_sandbox.url, PAYMENT, Authentication())
    sent: dict[str, bytes] = {}
    acknowledged: dict[str, CallOutcome] = {}
    stop, paid = asyncio.Event(), asyncio.Semaphore(0)

    async def pay() -> None:
        while not stop.is_set():
            key = str(uuid4())
            sent[key] = msgspec.json.encode(refund())
            outcome = await participant.call("payment.refund", key, sent[key], TIMEOUT_S)
            while outcome.kind is OutcomeKind.NOT_EXECUTED:
                await asyncio.sleep(0.1)
                outcome = await participant.call("payment.refund", key, sent[key], TIMEOUT_S)
            if outcome.kind is OutcomeKind.SUCCEEDED:
                acknowledged[key] = outcome
                paid.release()

    async with asyncio.TaskGroup() as callers:
        for _ in range(CALLERS):
            callers.create_task(pay())
        for _ in range(3):
            async with asyncio.timeout(120):
                for _ in range(100):
                    await paid.acquire()
            own_sandbox.kill()
            await asyncio.to_thread(own_sandbox.restart)
        stop.set()
    counts = Counter(payout["key"] for payout in own_sandbox.ledger()["payouts"])
    assert set(acknowledged) <= set(counts)
    assert set(counts) <= set(sent)
    assert max(counts.values()) == 1
    # Whatever is not known is cleared up with the same key, to one payout each.
    for key, body in sent.items():
        outcome = await participant.call("payment.refund", key, body, TIMEOUT_S)
        assert outcome.kind is OutcomeKind.SUCCEEDED
        assert acknowledged.get(key, outcome) == outcome
    await participant.close()
    counts = Counter(payout["key"] for payout in own_sandbox.ledger()["payouts"])
    assert set(counts) == set(sent)
    assert max(counts.values()) == 1


def test_a_compensation_is_remembered_over_a_kill(own_sandbox: Sandbox) -> None:
    body = refund()
    undoing = {**body, "action_key": "a"}
    first = own_sandbox.request("POST", "/erp/returns/cancel", undoing, "a-undo")
    own_sandbox.kill()
    own_sandbox.restart()
    assert own_sandbox.request("POST", "/erp/returns/cancel", undoing, "a-undo")[:2] == first[:2]
    assert own_sandbox.request("POST", "/erp/returns", body, "a")[0] == 409


def test_it_stops_cleanly_while_a_call_hangs(own_sandbox: Sandbox) -> None:
    own_sandbox.faults({"fault": "hang", "order": "hangs", "times": 1})
    body = msgspec.json.encode(refund(order_reference="hangs"))
    head = "POST /payment/refunds HTTP/1.1\r\nHost: x\r\nIdempotency-Key: hangs\r\n"
    head += f"Content-Length: {len(body)}"
    with socket.create_connection(("127.0.0.1", own_sandbox.port)) as caller:
        caller.sendall(f"{head}\r\n\r\n".encode() + body)
        wait_until(lambda: "hangs" in own_sandbox.calls()["by_key"], 20, "the call has come")
        assert own_sandbox.request("POST", "/payment/refunds", refund(), "next")[0] == 200
        assert own_sandbox.stop() == 0
    assert "Traceback" not in own_sandbox.output()
    own_sandbox.start()
    assert own_sandbox.request("GET", "/payment/operations/next")[0] == 200
    assert own_sandbox.request("GET", "/payment/operations/hangs")[0] == 404
