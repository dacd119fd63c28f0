"""10,000 clients lose their gateway at once and come back, admitted at a bounded rate."""

import asyncio
import resource
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.roles import Roles, running_roles
from tests.faults.storm import Storm, Visitor
from tests.faults.talkers import until
from tests.serving import Kefu
from tests.tools import missing

VISITORS = 1_000
TABS = 10
"""Of each visitor."""
CLIENTS = VISITORS * TABS
ADMISSIONS_PER_S = 500
BURST_S = 5
"""So many seconds' admissions are let in at once (docs/howto/settings.md)."""
_SETTLE_S = 300.0

pytestmark = pytest.mark.faults


@pytest.fixture
def many_files() -> Iterator[None]:
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = max(CLIENTS + 1_000, before[1])
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, wanted))  # more than it may: root only
    except (ValueError, OSError):
        missing(f"{wanted} open files are not allowed, at most {before[1]}")
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


@pytest.fixture
def roles(tmp_path: Path, database_url: str, many_files: None) -> Iterator[tuple[Kefu, Roles]]:
    order = ("core", "projector", "web", "gateway")
    # All of them come from one address.
    limits = {
        "KEFU_CONNECTIONS_PER_ADDRESS": "0",
        "KEFU_CONNECTS_PER_S": "0",
        "KEFU_ADDRESS_MESSAGES_PER_S": "0",
        "KEFU_ADMISSIONS_PER_S": str(ADMISSIONS_PER_S),
    }
    with running_roles(tmp_path, database_url, order, **limits) as found:
        yield found


async def test_a_reconnect_storm_settles_with_nothing_lost(roles: tuple[Kefu, Roles]) -> None:
    kefu, processes = roles
    sessions = [await asyncio.to_thread(kefu.visitor) for _ in range(VISITORS)]
    visitors = [Visitor(session["token"], session["conversation_id"]) for session in sessions]
    storm = Storm(kefu.port)
    try:
        for number in range(TABS):
            for visitor in visitors:
                storm.open(visitor, talks=number == 0)
        await _until(lambda: storm.settled(0), "everybody is there")
        storm.say("before")
        await _until(lambda: storm.settled(1), "everybody heard the first message")
        storm.say("under way")  # acknowledged or not, heard or not
        storm.refused.clear()
        await asyncio.to_thread(processes.kill, "gateway")
        storm.admitted_at.clear()
        began = asyncio.get_running_loop().time()
        storm.say("while it was down")
        await _until(lambda: storm.settled(3), "everybody is back and heard everything")
        assert all(not visitor.waiting for visitor in visitors)
        assert all(
            [tab.visitor.acks[content] for content in tab.heard] == [1, 2, 3] for tab in storm.tabs
        )
    finally:
        storm.close()
    took = storm.admitted_at[-1] - began
    # On a machine that is too busy they come no faster than they are let in.
    slowly = took > CLIENTS / ADMISSIONS_PER_S
    assert storm.refused["503"] > 0 or slowly, "some were told to come later"
    allowed = ADMISSIONS_PER_S * (took + BURST_S)
    assert CLIENTS <= len(storm.admitted_at) <= 1.1 * allowed


async def _until(condition: object, what: str) -> None:
    await until(condition, _SETTLE_S, what)  # type: ignore[arg-type]
