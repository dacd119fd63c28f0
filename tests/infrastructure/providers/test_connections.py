"""Answers that the sandbox does not give: the adapter against sockets of the test's own."""

import ssl
from pathlib import Path

import msgspec
import pytest

from application.sagas.outcome import OutcomeKind
from infrastructure.providers.profile import PAYMENT
from infrastructure.providers.requests import Authentication
from tests.certificates import Authority
from tests.infrastructure.providers.conftest import answering, body, opened

LONG_S = 30.0


def _answer(body: bytes, status: str = "200 OK", *headers: str) -> bytes:
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (b"", "connection-broken"),
        (b"SSH-2.0-OpenSSH_9.6\r\n\r\n", "connection-broken"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{", "connection-broken"),
        (_answer(b"<html>"), "unreadable-answer"),
        (_answer(b'{"status":"perhaps"}'), "unreadable-answer"),
        (_answer(b'{"status":"succeeded","idempotency_key":"x"}'), "answer-to-another-key"),
        (_answer(b" " * 100_000), "answer-too-long"),
        (_answer(b"", "302 Found", "Location: http://127.0.0.1:1/"), "http-302"),
        (_answer(b"", "409 Conflict"), "http-409"),
    ],
)
async def test_what_can_t_be_read_is_unknown(answer: bytes, code: str) -> None:
    async def say(_request: bytes) -> bytes:
        return answer

    async with answering(say) as (port, _), opened(f"http://127.0.0.1:{port}", PAYMENT) as payment:
        outcome = await payment.call("payment.refund", "key", body(), LONG_S)
        assert (outcome.kind, outcome.code) == (OutcomeKind.UNKNOWN, code)


async def test_a_certificate_that_is_not_trusted_ends_it_before_anything_is_sent(
    tmp_path: Path,
) -> None:
    async def say(_request: bytes) -> bytes:
        return _answer(b"{}")

    certificate, key = Authority(tmp_path / "ca").issue("provider", server=True)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate, key)
    async with answering(say, ssl=context) as (port, seen):
        async with opened(f"https://127.0.0.1:{port}", PAYMENT) as payment:
            outcome = await payment.call("payment.refund", "key", body(), LONG_S)
        assert (outcome.kind, outcome.code) == (OutcomeKind.NOT_EXECUTED, "no-connection")
        assert seen == []


async def test_a_host_without_an_address_was_not_called() -> None:
    async with opened("http://nobody.invalid", PAYMENT) as payment:
        outcome = await payment.call("payment.refund", "key", body(), LONG_S)
        assert outcome.kind is OutcomeKind.NOT_EXECUTED


async def test_an_operation_without_a_path_was_not_called() -> None:
    async with opened("http://nobody.invalid", PAYMENT) as payment:
        outcome = await payment.call("payment.lend", "key", body(), LONG_S)
    assert (outcome.kind, outcome.code) == (OutcomeKind.NOT_EXECUTED, "operation-not-configured")


@pytest.mark.parametrize(
    ("authentication", "header"),
    [
        (Authentication(), None),
        (Authentication("bearer", "s3cret"), b"Authorization: Bearer s3cret"),
        (Authentication("basic", "me:s3cret"), b"Authorization: Basic bWU6czNjcmV0"),
        (Authentication("header", "s3cret", "X-Api-Key"), b"X-Api-Key: s3cret"),
    ],
)
async def test_the_provider_is_told_who_asks_and_the_secret_stays_out_of_outcomes(
    authentication: Authentication, header: bytes | None
) -> None:
    async def say(_request: bytes) -> bytes:
        said = {"code": "no", "message": "You sent s3cret, I know."}
        return _answer(msgspec.json.encode(said), "403 Forbidden")

    async with (
        answering(say) as (port, seen),
        opened(f"http://127.0.0.1:{port}", PAYMENT, authentication) as payment,
    ):
        outcome = await payment.call("payment.refund", "key", body(), LONG_S)
    assert outcome.kind is OutcomeKind.DECLINED
    assert b"Idempotency-Key: key\r\n" in seen[0]
    assert header is None or header in seen[0]
    assert ("s3cret" in str(outcome)) == (header is None)
    assert "s3cret" not in repr(authentication)
