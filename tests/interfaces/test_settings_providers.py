"""Settings of payment provider and ERP: what is wrong is refused, and no secret is shown."""

from pathlib import Path

import pytest

from domain.errors import InvalidInput
from interfaces.bootstrap.callbacks import callback_readers
from interfaces.bootstrap.participants import http_participants
from interfaces.settings import load

SECRET = "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3"


def test_without_a_url_there_is_no_participant() -> None:
    settings = load({"KEFU_PAYMENT_TOKEN": "t", "KEFU_PAYMENT_CALLBACK_SECRETS": SECRET})
    assert http_participants(settings).ports() == {}
    assert callback_readers(settings) == {}


def test_each_has_a_participant_and_with_secrets_a_reader(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("s3cret\n")
    (tmp_path / "secrets").write_text(f"{SECRET}\n{SECRET}\n")
    settings = load(
        {
            "KEFU_PAYMENT_URL": "https://pay.example/api",
            "KEFU_PAYMENT_TOKEN_FILE": str(tmp_path / "token"),
            "KEFU_PAYMENT_CALLBACK_SECRETS_FILE": str(tmp_path / "secrets"),
            "KEFU_ERP_URL": "http://erp.internal:8080",
            "KEFU_ERP_AUTH": "header:X-Api-Key",
        }
    )
    assert set(http_participants(settings).ports()) == {"payment", "erp"}
    assert set(callback_readers(settings)) == {"payment"}
    access = settings.provider("payment")
    assert access is not None
    assert access.token == "s3cret"
    assert access.callback_secrets == (SECRET, SECRET)
    assert "s3cret" not in repr(access) + repr(settings)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"KEFU_PAYMENT_URL": "pay.example"}, "KEFU_PAYMENT_URL must be http"),
        ({"KEFU_ERP_URL": "https://u:p@erp"}, "KEFU_ERP_URL must be http.*without credentials"),
        ({"KEFU_ERP_URL": "https://erp/?key=1"}, "KEFU_ERP_URL must be http"),
        ({"KEFU_ERP_AUTH": "header:"}, "KEFU_ERP_AUTH must be bearer, basic or header:NAME"),
        ({"KEFU_ERP_AUTH": "digest"}, "KEFU_ERP_AUTH must be"),
    ],
)
def test_a_wrong_setting_is_refused_at_the_start(given: dict[str, str], message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        load(given)


@pytest.mark.parametrize(
    "given",
    [
        {"KEFU_PAYMENT_TOKEN_FILE": "/nowhere/token"},
        {"KEFU_PAYMENT_CALLBACK_SECRETS_FILE": "/nowhere/secrets"},
        {"KEFU_PAYMENT_CALLBACK_SECRETS": "short"},
        {"KEFU_PAYMENT_PROFILE": "/nowhere/profile.toml"},
        {"KEFU_PAYMENT_TOKEN": "two\nlines"},
    ],
)
def test_a_file_or_secret_that_is_wrong_is_refused_by_name(given: dict[str, str]) -> None:
    settings = load({"KEFU_PAYMENT_URL": "https://pay.example", **given})
    with pytest.raises(InvalidInput):
        http_participants(settings), callback_readers(settings)
