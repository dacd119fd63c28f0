"""Signatures of callbacks: Standard Webhooks' own vector, its library, and what must be refused."""

import base64
import secrets
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from standardwebhooks import Webhook

from application.ports.participants import CallbackRefused
from application.sagas.outcome import OutcomeKind
from domain.errors import InvalidInput
from infrastructure.providers.profile import PAYMENT, CallbackForm, Profile
from infrastructure.providers.webhooks import StandardWebhookReader, secret_of, sign

SECRET = b"0123456789abcdef01234567"
NOW_S = 1_764_171_575
DATA = {
    "id": "sbx_1",
    "idempotency_key": "refund-1-payment-1",
    "operation": "payment.refund",
    "status": "failed",
    "code": "late-failure",
    "at_us": 1_764_171_574_000_000,
}


def _body(**more: Any) -> bytes:
    return msgspec.json.encode({"type": "payment.refund.failed", "data": {**DATA, **more}})


def _headers(body: bytes, secret: bytes = SECRET, at_s: int = NOW_S) -> dict[str, str]:
    return {
        "Webhook-Id": "msg_1",
        "Webhook-Timestamp": str(at_s),
        "Webhook-Signature": sign(secret, "msg_1", at_s, body),
    }


def _reader(*known: bytes, profile: Profile = PAYMENT) -> StandardWebhookReader:
    return StandardWebhookReader(profile, known or (SECRET,))


def test_the_specification_s_own_vector() -> None:
    secret = secret_of("whsec_plJ3nmyCDGBKInavdOK15jsl")
    body = b'{"event_type":"ping","data":{"success":true}}'
    signature = sign(secret, "msg_loFOjxBNrRLzqYUf", 1731705121, body)
    assert signature == "v1,rAvfW3dJ/X/qxhsaXPOyyCGmRKsaKWcsNccKXlIktD0="


@given(st.binary(min_size=16, max_size=64), st.text(min_size=0, max_size=200))
def test_it_signs_as_the_library_does(secret: bytes, text: str) -> None:
    body = text.encode()
    library = Webhook(base64.b64encode(secret).decode())
    theirs = library.sign("msg_1", datetime.fromtimestamp(NOW_S, UTC), body.decode())
    assert sign(secret, "msg_1", NOW_S, body) == theirs


def test_a_good_callback_says_what_became_of_which_key() -> None:
    body = _body()
    callback = _reader().read(_headers(body), body, NOW_S * 1_000_000)
    assert (callback.id, callback.key) == ("msg_1", "refund-1-payment-1")
    assert callback.operation == "payment.refund"
    assert callback.outcome.kind is OutcomeKind.DECLINED
    assert (callback.outcome.code, callback.outcome.at_us) == ("late-failure", DATA["at_us"])


def test_while_secrets_are_changed_either_will_do_on_either_side() -> None:
    old, new, body = secrets.token_bytes(24), secrets.token_bytes(24), _body()
    assert _reader(new, old).read(_headers(body, old), body, NOW_S * 1_000_000)
    both = _headers(body, old)
    both["Webhook-Signature"] += " v1a,abcd " + sign(new, "msg_1", NOW_S, body)
    assert _reader(new).read(both, body, NOW_S * 1_000_000)


@pytest.mark.parametrize(
    "change",
    [
        {"Webhook-Id": "msg_2"},
        {"Webhook-Id": ""},
        {"Webhook-Id": "\N{SNOWMAN}"},
        {"Webhook-Timestamp": str(NOW_S + 1)},
        {"Webhook-Timestamp": f"{NOW_S}.0"},
        {"Webhook-Timestamp": "-1"},
        {"Webhook-Signature": ""},
        {"Webhook-Signature": "v1"},
        {"Webhook-Signature": "v1,"},
        {"Webhook-Signature": "v1,not base64"},
        {"Webhook-Signature": "v1,\N{SNOWMAN}"},
        {"Webhook-Signature": sign(b"another secret, also of 24 b", "msg_1", NOW_S, _body())},
        {"Webhook-Signature": "v2," + sign(SECRET, "msg_1", NOW_S, _body()).partition(",")[2]},
    ],
)
def test_a_callback_without_a_good_signature_is_refused(change: dict[str, str]) -> None:
    body = _body()
    with pytest.raises(CallbackRefused):
        _reader().read({**_headers(body), **change}, body, NOW_S * 1_000_000)


def test_a_changed_body_is_refused() -> None:
    body = _body()
    with pytest.raises(CallbackRefused):
        _reader().read(_headers(body), body.replace(b"failed", b"succeeded"), NOW_S * 1_000_000)


@pytest.mark.parametrize(
    ("off_s", "good"), [(-301, False), (-300, True), (300, True), (301, False)]
)
def test_a_callback_of_another_time_is_refused(off_s: int, good: bool) -> None:
    body = _body()
    headers, now_us = _headers(body, at_s=NOW_S + off_s), NOW_S * 1_000_000
    if good:
        assert _reader().read(headers, body, now_us)
    else:
        with pytest.raises(CallbackRefused):
            _reader().read(headers, body, now_us)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b'{"data":[]}',
        _body(operation="payment.lend"),
        _body(idempotency_key=""),
        _body(idempotency_key="x" * 201),
        _body(status="perhaps"),
    ],
)
def test_a_signed_callback_of_another_form_is_bad_input(body: bytes) -> None:
    with pytest.raises(InvalidInput):
        _reader().read(_headers(body), body, NOW_S * 1_000_000)


@given(st.dictionaries(st.text(max_size=20), st.text(max_size=50)), st.binary(max_size=200))
def test_whatever_comes_is_refused_in_order(headers: dict[str, str], body: bytes) -> None:
    with pytest.raises(CallbackRefused):
        _reader().read(headers, body, NOW_S * 1_000_000)


def test_a_provider_s_own_words_for_operations_are_translated() -> None:
    form = CallbackForm(root="", operations={"refund.updated": "payment.refund"})
    profile = msgspec.structs.replace(PAYMENT, callback=form)
    said = {name: value for name, value in DATA.items() if name != "operation"}
    body = msgspec.json.encode({"type": "refund.updated", **said})
    callback = _reader(profile=profile).read(_headers(body), body, NOW_S * 1_000_000)
    assert callback.operation == "payment.refund"


@pytest.mark.parametrize("text", ["", "whsec_AAAA", "whsec_###", "not a secret at all!"])
def test_a_secret_that_is_none_is_refused_and_not_repeated(text: str) -> None:
    with pytest.raises(InvalidInput) as raised:
        secret_of(text)
    assert not text or text not in str(raised.value)
