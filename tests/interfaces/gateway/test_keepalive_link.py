"""Keepalive over a real link with delay, jitter, loss and a cut; times are a tenth."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.tools import missing, require

ROOT = Path(__file__).parents[3]


def _over_a_bad_link(scene: str) -> dict[str, Any]:
    if sys.platform != "linux" or os.geteuid() != 0:
        missing("network namespaces with TUN devices need Linux and root")
    for program in ("ip", "nsenter"):
        require(program)
    if not os.path.exists("/dev/net/tun"):
        missing("there is no /dev/net/tun")
    unshare = require("unshare")
    probe = [unshare, "--net", "sh", "-c", "ip tuntap add probe mode tun"]
    if subprocess.run(probe, capture_output=True, check=False).returncode != 0:
        missing("network namespaces with TUN devices are not allowed here")
    module = "tests.interfaces.gateway.link_server"
    command = [unshare, "--net", sys.executable, "-m", module, scene]
    done = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    print(found)
    return found


@pytest.mark.faults
def test_peers_behind_a_cut_link_are_found_within_the_bound() -> None:
    found = _over_a_bad_link("cut")
    assert found["silent_deaths"] == len(found["died_after"]) == 8
    for seconds, late_s, bound_s in found["died_after"]:
        assert seconds - late_s <= bound_s < 7


@pytest.mark.faults
def test_slow_and_lossy_but_living_peers_are_kept_and_their_intervals_grow() -> None:
    found = _over_a_bad_link("living")
    assert (found["living"], found["silent_deaths"]) == (8, 0)
    assert found["closed_by_server"] == 0
    assert found["packets_lost"] > 0
    assert min(found["intervals_s"]) > found["growth_from_s"]


@pytest.mark.faults
def test_what_is_not_acknowledged_over_a_cut_link_is_ended_by_the_kernel_too() -> None:
    found = _over_a_bad_link("backstop")
    assert found["errors"] == ["ETIMEDOUT"] * 8
    assert (found["pings"], found["silent_deaths"]) == (0, 8)
