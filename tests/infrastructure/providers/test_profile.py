"""Profiles: what a provider's own dialect changes, and what is refused."""

import json
import re
import tomllib
from pathlib import Path

import msgspec
import pytest

from application.sagas.outcome import OutcomeKind
from domain.errors import InvalidInput
from infrastructure.providers.amounts import decimal_string
from infrastructure.providers.classification import HttpAnswer, of_call, of_look_up
from infrastructure.providers.profile import ERP, PAYMENT, Profile, load
from infrastructure.providers.requests import body_for, look_up_path

DOCS = Path(__file__).parents[3] / "docs/howto/providers.md"
(EXAMPLE,) = re.findall(r"```toml\n(.*?)```", DOCS.read_text(), re.DOTALL)
BODY = (
    b'{"refund_id":"r-1","order_reference":"o-1","amount_minor":1205,"currency":"EUR","note":"x"}'
)


@pytest.fixture
def acme(tmp_path: Path) -> Profile:
    """The made-up provider of docs/howto/providers.md."""
    path = tmp_path / "acme.toml"
    path.write_text(EXAMPLE)
    return load(path, PAYMENT)


def _answer(status: int, said: object) -> HttpAnswer:
    return HttpAnswer(status, {}, msgspec.json.encode(said), 0.0)


def test_without_a_profile_the_body_goes_out_byte_for_byte() -> None:
    assert body_for(PAYMENT, BODY) == BODY


def test_the_documented_example_has_its_own_names_and_amounts(acme: Profile) -> None:
    assert json.loads(body_for(acme, BODY)) == {
        "merchant_reference": "r-1",
        "payment": "o-1",
        "money": {"value": "12.05", "currency": "EUR"},
        "note": "x",
    }
    assert body_for(acme, BODY) == body_for(acme, BODY)
    assert acme.operations["payment.refund"] == "/v3/refunds"
    assert acme.operations["payment.void"] == "/v3/cancellations"
    path = look_up_path(acme, "payment.refund", "refund/1 ?")
    assert path == "/v3/requests/refund%2F1%20%3F"


def test_the_documented_example_s_answers_are_read(acme: Profile) -> None:
    said = {
        "refund": {"id": "rf_9", "state": "COMPLETED", "updated": "2026-11-26T15:00:00.25Z"},
        "request_key": "key",
    }
    outcome = of_call(acme, "key", _answer(201, said))
    assert (outcome.kind, outcome.reference) == (OutcomeKind.SUCCEEDED, "rf_9")
    assert outcome.at_us == 1_795_705_200_250_000
    said["refund"] = {"id": "rf_9", "state": "REJECTED", "updated": "yesterday"}
    rejected = of_look_up(acme, "key", _answer(200, said | {"error": {"code": "E 17"}}))
    assert (rejected.kind, rejected.code) == (OutcomeKind.DECLINED, "E-17")
    assert rejected.at_us is None


def test_a_profile_may_be_json_and_adds_to_the_operations(tmp_path: Path) -> None:
    path = tmp_path / "profile.json"
    path.write_text('{"operations": {"erp.post_refund": "/ledger"}, "time": "ms"}')
    profile = load(path, ERP)
    assert profile.operations == {**ERP.operations, "erp.post_refund": "/ledger"}
    said = {"status": "succeeded", "at_us": 5}
    assert of_call(profile, "key", _answer(200, said)).at_us == 5_000


@pytest.mark.parametrize(
    "text",
    [
        "not toml",
        'colour = "blue"',
        'amount = "cents"',
        'look_up = "/operations"',
        'operations = { "payment.refund" = "refunds" }',
        'answer = { status = "" }',
        'statuses = { done = "perhaps" }',
        "answer = 7",
    ],
)
def test_what_is_no_profile_is_refused_with_its_file_s_name(tmp_path: Path, text: str) -> None:
    path = tmp_path / "acme.toml"
    path.write_text(text)
    with pytest.raises(InvalidInput, match=r"acme\.toml"):
        load(path, PAYMENT)
    with pytest.raises(InvalidInput, match="missing"):
        load(tmp_path / "missing.toml", PAYMENT)


@pytest.mark.parametrize(
    ("minor", "currency", "text"),
    [
        (1, "EUR", "0.01"),
        (1200, "EUR", "12.00"),
        (1200, "JPY", "1200"),
        (1200, "KWD", "1.200"),
        (2**53 - 1, "CNY", "90071992547409.91"),
        (10**30, "EUR", "1" + "0" * 28 + ".00"),
    ],
)
def test_amounts_become_decimals_exactly(minor: int, currency: str, text: str) -> None:
    assert decimal_string(minor, currency) == text


def test_what_looks_personal_does_not_come_into_an_outcome() -> None:
    message = "Card 4111 1111-1111 1111 of jo@shop.example\nis closed since 2024" + "x" * 900
    outcome = of_call(PAYMENT, "key", _answer(402, {"code": "c" * 300, "message": message}))
    assert outcome.detail.startswith("Card [...] of [...] is closed since 2024")
    assert (len(outcome.code), len(outcome.detail)) == (100, 500)


@pytest.mark.parametrize("body", [b"", b"[1]", b'"x"', b"\xff"])
def test_a_body_of_a_call_is_a_json_object(body: bytes) -> None:
    with pytest.raises(InvalidInput):
        body_for(PAYMENT, body)


def test_the_example_is_what_toml_says() -> None:
    assert set(tomllib.loads(EXAMPLE)) <= set(Profile.__struct_fields__)
