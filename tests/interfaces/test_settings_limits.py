"""Settings that would hurt later are refused at the start, and secrets do not show."""

from pathlib import Path

import pytest

from domain.errors import InvalidInput
from interfaces.settings import load
from interfaces.workers.supervisor import ROLES, _environment


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("KEFU_SEGMENT_AGE_S", "nan"),
        ("KEFU_SEGMENT_AGE_S", "inf"),
        ("KEFU_LOGIN_PER_MINUTE", "1e9"),
        ("KEFU_SEGMENT_MB", "5000"),
        ("KEFU_HOST", "127.0.0.1 "),
        ("KEFU_HOST", "[::1]"),
        ("KEFU_HOST", "http://127.0.0.1"),
        ("KEFU_ADMIN_PASSWORD", "x" * 1025),
        ("KEFU_ARCHIVE_URL", "/srv/archive"),
        ("KEFU_ARCHIVE_URL", "s3://"),
        ("KEFU_ARCHIVE_URL", "https://s3.example/bucket"),
        ("KEFU_ARCHIVE_S3_ENDPOINT", "minio:9000"),
        ("KEFU_RETAIN_SEGMENTS", "0"),
        ("KEFU_TRUSTED_PROXIES", "10.0.0.0/33"),
        ("KEFU_PROXY_PROTOCOL", "v1"),
        ("KEFU_PROXY_PROTOCOL", "v2"),  # and nobody is trusted
        ("KEFU_ALLOWED_ORIGINS", "shop.example"),
        ("KEFU_TLS_CERTIFICATE", "cert.pem"),  # and no key
        ("KEFU_TLS_KEY", "key.pem"),
        ("KEFU_CLUSTER_URL", "http://valkey:6379"),
        ("KEFU_CLUSTER_URL", "redis://"),
        ("KEFU_CLUSTER_URL", "redis://a:6379,"),
        ("KEFU_CLUSTER_URL", "redis://user:hush@a:http"),
    ],
)
def test_a_value_out_of_bounds_is_refused_by_its_variables_name(variable: str, value: str) -> None:
    with pytest.raises(InvalidInput, match=variable):
        load({variable: value})


def test_an_empty_host_does_not_mean_every_address() -> None:
    with pytest.raises(InvalidInput, match="KEFU_HOST"):
        load({}, host="")


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("0.0.0.0", "http://127.0.0.1:8000"),
        ("::", "http://[::1]:8000"),
        ("::1", "http://[::1]:8000"),
        ("shop.example", "http://shop.example:8000"),
    ],
)
def test_the_url_is_one_that_reaches_this_machine(host: str, url: str) -> None:
    assert load({"KEFU_HOST": host}).url == url


@pytest.mark.parametrize("depth", [1, 30])
def test_sockets_have_paths_that_fit_however_deep_the_data_directory_is(depth: int) -> None:
    settings = load({}, data_dir=Path("/srv/" + "/".join(["folder"] * depth)))
    assert len(bytes(settings.core_socket)) < 104
    assert load({}, data_dir=settings.data_dir).core_socket == settings.core_socket
    assert load({}, data_dir=settings.data_dir / "other").core_socket != settings.core_socket


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("KEFU_ARCHIVE_URL", "s3://key:hush@bucket/prefix"),
        ("KEFU_ARCHIVE_S3_ENDPOINT", "https://key:hush@minio.example"),
    ],
)
def test_credentials_in_an_archives_url_are_refused_and_not_repeated(
    variable: str, value: str
) -> None:
    with pytest.raises(InvalidInput, match=variable) as caught:
        load({variable: value})
    assert "hush" not in caught.value.detail


def test_settings_in_a_traceback_show_no_secret() -> None:
    settings = load({"KEFU_ADMIN_PASSWORD": "hush", "KEFU_DATABASE_URL": "postgresql://u:hush@h/d"})
    assert "hush" not in repr(settings)


def test_only_the_core_gets_the_administrators_password(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KEFU_ADMIN_PASSWORD", "hush")
    settings = load({"KEFU_ADMIN_PASSWORD": "hush"})
    holders = [role for role in ROLES if "hush" in _environment(settings, role).values()]
    assert holders == ["core"]


def test_the_scrubber_can_be_switched_off_with_0() -> None:
    assert load({"KEFU_SCRUB_MB_PER_S": "0"}).scrub_mb_per_s == 0
    for refused in ("-1", "nan"):
        with pytest.raises(InvalidInput, match="KEFU_SCRUB_MB_PER_S must be 0 or more"):
            load({"KEFU_SCRUB_MB_PER_S": refused})
