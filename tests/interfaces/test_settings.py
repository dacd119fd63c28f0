"""Settings: one object, read once; wrong values are refused with the variable's name."""

import pytest

from domain.errors import InvalidInput
from interfaces.settings import SETTINGS, load


def test_defaults_listen_on_loopback_only() -> None:
    settings = load({})
    assert (settings.host, settings.port, settings.database_url) == ("127.0.0.1", 8000, None)
    assert settings.url == "http://127.0.0.1:8000"


def test_an_override_wins_over_the_environment() -> None:
    assert load({"KEFU_PORT": "9000"}, port=9001).port == 9001
    assert load({"KEFU_PORT": "9000"}, port=None).port == 9000


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("KEFU_PORT", "http"),
        ("KEFU_PORT", "0"),
        ("KEFU_PORT", "70000"),
        ("KEFU_LOG_LEVEL", "loud"),
        ("KEFU_QUEUE_LIMIT", "-1"),
        ("KEFU_SEGMENT_MB", "two"),
        ("KEFU_DATABASE_URL", "mysql://x"),
    ],
)
def test_a_wrong_value_is_refused_by_its_variables_name(variable: str, value: str) -> None:
    with pytest.raises(InvalidInput, match=variable):
        load({variable: value})


def test_children_get_the_same_settings_through_the_environment() -> None:
    settings = load({"KEFU_PORT": "9000", "KEFU_ADMIN_PASSWORD": "x", "KEFU_SEGMENT_AGE_S": "5"})
    assert load(settings.environment()) == settings


def test_every_setting_has_a_variable_and_a_meaning() -> None:
    assert all(row.variable.startswith("KEFU_") and row.text.endswith(".") for row in SETTINGS)
