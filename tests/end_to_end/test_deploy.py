"""The image and compose file, as far as they can be checked without a container engine."""

import re
from pathlib import Path

import pytest

from interfaces.settings import SETTINGS
from interfaces.workers.supervisor import ROLES

ROOT = Path(__file__).parents[2]
DOCKERFILE = (ROOT / "deploy/Dockerfile").read_text()
COMPOSE = (ROOT / "deploy/compose.yaml").read_text()
PIN = re.compile(r"^([a-z0-9-]+)==(\S+)", re.M)


def test_the_runtime_lock_is_part_of_the_whole_lock() -> None:
    whole = dict(PIN.findall((ROOT / "requirements.lock").read_text()))
    runtime = dict(PIN.findall((ROOT / "deploy/requirements.lock").read_text()))
    assert runtime.items() <= whole.items()
    assert not {"pytest", "playwright", "mypy"} & runtime.keys()


@pytest.mark.parametrize("lock", ["requirements.lock", "deploy/requirements.lock"])
def test_a_lock_names_hashes_and_no_address(lock: str) -> None:
    text = (ROOT / lock).read_text()
    assert "--hash=sha256:" in text
    assert "://" not in text
    assert "index-url" not in text


def test_what_the_image_copies_exists() -> None:
    for sources in re.findall(r"^COPY (?!--from)(.+) \S+$", DOCKERFILE, re.M):
        for source in sources.split():
            assert (ROOT / source).exists(), source


def test_the_last_stage_runs_as_an_ordinary_user_without_a_compiler() -> None:
    last = DOCKERFILE.rpartition("\nFROM ")[2]
    assert re.search(r"^USER kefu$", last, re.M)
    assert "gcc" not in last
    assert "pip install" not in last


def test_compose_has_every_role_and_publishes_on_loopback_only() -> None:
    # The role link is for gateways on other machines, which this file does not describe.
    assert re.findall(r"--role, (\w+)\]", COMPOSE) == [role for role in ROLES if role != "link"]
    assert re.findall(r"^ +- (\S+:8000)$", COMPOSE, re.M) == ["127.0.0.1:8000:8000"]
    known = {row.variable for row in SETTINGS}
    assert set(re.findall(r"^ +(KEFU_\w+):", COMPOSE, re.M)) <= known
