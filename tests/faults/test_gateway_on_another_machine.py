"""A gateway on a machine without the log: a visitor there is served as one next to it."""

import asyncio
import random
import shutil
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed

from tests.certificates import Authority
from tests.end_to_end.people import API
from tests.end_to_end.test_main_job_websocket import client
from tests.faults.remote import ORDER, Machines, two_machines
from tests.faults.roles import url_of
from tests.faults.talkers import acknowledged, conversation, kill_in_the_middle
from tests.serving import Kefu, free_port, running, wait_until
from tests.valkey_cluster import ValkeyCluster
from tests.valkey_cluster import cluster as cluster

KILLS = 4
CONNECTIONS = 40

pytestmark = pytest.mark.faults


@pytest.fixture(scope="module")
def lasting(
    tmp_path_factory: pytest.TempPathFactory, shared_database_url: str, cluster: ValkeyCluster
) -> Iterator[Machines]:
    with two_machines(tmp_path_factory.mktemp("two"), shared_database_url, cluster) as found:
        yield found


@pytest.fixture
def machines(lasting: Machines) -> Machines:
    """The same for all tests, each of which leaves all but the remote gateway whole."""
    lasting.ensure()
    return lasting


def test_visitor_and_agent_on_two_machines_see_all_of_each_other(machines: Machines) -> None:
    home, remote = machines.home, machines.remote
    assert not (remote.data_dir / "log").exists()
    for here, there in ((home, remote), (remote, home)):
        session: dict[str, Any] = there.visitor()  # HTTP through both
        _, token = here.agent()
        id = session["conversation_id"]
        path = f"{API}/conversations/{id}"
        with client(here, token) as agent:
            agent.send("subscribe_inbox")
            agent.send("subscribe", conversation_id=id, presence=True)
            assert agent.until("presence")["online"] is False
            with client(there, session["token"]) as visitor:
                visitor.send("subscribe", conversation_id=id)
                visitor.until("subscribed")
                while not agent.until("presence")["online"]:
                    pass  # the word of the other machine is on its way
                visitor.send("typing", conversation_id=id, on=True)
                assert agent.until("typing")["author"]["id"] == session["contact_id"]

                visitor.send("send", ref="1", conversation_id=id, content="hello")
                visitor.until("ack", ref="1")
                assert agent.until("message")["content"] == "hello"
                agent.until("conversation", id=id, last_seq=1)
                agent.send("send", ref="2", conversation_id=id, content="你好")
                acknowledged = agent.until("ack", ref="2")
                visitor.until("message", content="你好", seq=2)
                visitor.send("read", conversation_id=id, seq=2)
                assert agent.until("read")["seq"] == 2

                message = f"{path}/messages/{acknowledged['message_id']}"
                status, _, _ = there.request("PATCH", message, {"content": "hi"}, token)
                assert status == 200
                assert visitor.until("message_updated")["content"] == "hi"
                status, _, _ = here.request("DELETE", message, None, token)
                assert status in (200, 204)
                visitor.until("message_updated")
            assert agent.until("presence")["online"] is False
            here.post(f"{API}/auth/logout", {}, token)
            with pytest.raises(ConnectionClosed) as closed:
                agent.until("nothing")
            assert closed.value.rcvd is not None
            assert closed.value.rcvd.code == 4401
        status, found = there.get(f"{path}/messages", session["token"])
        assert status == 200
        assert [row["seq"] for row in found["data"]] == [1, 2]
    wait_until(lambda: machines.metric("kefu_link_behind_events") == 0, 30, "nothing behind")
    assert machines.metric("kefu_gateway_relayed_total") is not None


async def test_nothing_is_lost_or_doubled_when_link_and_remote_gateway_are_killed(
    tmp_path: Path, database_url: str, cluster: ValkeyCluster
) -> None:
    moment = random.Random(KILLS)
    with two_machines(tmp_path, database_url, cluster, KEFU_CONNECTS_PER_S="0") as machines:

        async def kill_link() -> None:
            await asyncio.to_thread(machines.roles.kill, "link")

        async def kill_core() -> None:
            await asyncio.to_thread(machines.roles.kill, "core")

        async def kill_remote() -> None:
            await asyncio.to_thread(machines.remote.kill_and_begin)

        async with conversation(machines.remote, CONNECTIONS, pause_s=0.2) as talkers:
            for _ in range(KILLS):
                await kill_in_the_middle(talkers, kill_link, moment)
                # That the link died costs no WebSocket.
            reconnects = sum(talker.reconnects for talker in talkers)
            await kill_in_the_middle(talkers, kill_core, moment)
            await kill_in_the_middle(talkers, kill_remote, moment)
        assert sum(talker.reconnects for talker in talkers) >= reconnects + CONNECTIONS
        assert acknowledged(talkers) > 2 * KILLS * CONNECTIONS


def test_a_listener_hears_what_was_said_while_the_link_was_dead_and_keeps_its_connection(
    machines: Machines,
) -> None:
    home, remote = machines.home, machines.remote
    session: dict[str, Any] = home.visitor()
    _, token = home.agent()
    id = session["conversation_id"]
    with client(remote, session["token"]) as visitor, client(home, token) as agent:
        visitor.send("subscribe", conversation_id=id)
        visitor.until("subscribed")
        agent.send("subscribe", conversation_id=id)
        agent.until("subscribed")
        for turn in range(3):
            machines.roles.end("link")
            for number in range(10):
                agent.send("send", ref=f"{turn}-{number}", conversation_id=id, content="x")
                agent.until("ack", ref=f"{turn}-{number}")
            machines.roles.begin("link")
        heard = [visitor.until("message", bound_s=30)["seq"] for _ in range(30)]
        assert heard == list(range(1, 31))


def test_the_visitors_of_a_killed_remote_gateway_are_gone_soon(machines: Machines) -> None:
    session: dict[str, Any] = machines.remote.visitor()
    _, token = machines.home.agent()
    with client(machines.remote, session["token"]), client(machines.home, token) as agent:
        agent.send("subscribe", conversation_id=session["conversation_id"], presence=True)
        while not agent.until("presence")["online"]:
            pass  # the word of the other machine is on its way
        machines.remote.kill()
        assert agent.until("presence", bound_s=60)["online"] is False
    assert machines.home.get("/readyz")[0] == 200


def test_a_log_that_was_put_back_ends_the_remote_gateway_for_a_new_start(
    machines: Machines, tmp_path: Path
) -> None:
    home, remote, roles = machines.home, machines.remote, machines.roles
    session: dict[str, Any] = remote.visitor()
    backup, log = tmp_path / "backup", home.data_dir / "log"
    assert home.cli("log", "backup", str(backup)).returncode == 0
    with client(remote, session["token"]) as visitor:
        visitor.send("subscribe", conversation_id=session["conversation_id"])
        visitor.send("send", ref="1", conversation_id=session["conversation_id"], content="lost")
        visitor.until("message")
        for role in ORDER:
            roles.end(role)
        log.rename(tmp_path / "lost")
        # As `kefu log restore` does, but for the views, which nobody asks here.
        shutil.copytree(backup / "log", log)
        for role in ("core", "web", "gateway", "link"):
            roles.begin(role)
        assert remote.process is not None
        assert remote.process.wait(60) == 1
        with pytest.raises(ConnectionClosed) as closed:
            visitor.until("nothing")
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 1012
    assert "link.other_log" in remote.output()
    remote.begin()
    wait_until(lambda: remote.get("/healthz")[0] == 200, 30, "the new one serves")


def test_kefu_serve_runs_the_link_here_and_gateways_alone_there(
    tmp_path: Path, database_url: str
) -> None:
    authority, port = Authority(tmp_path / "tls"), free_port()
    common = {"KEFU_DATABASE_URL": url_of(database_url), "KEFU_GATEWAYS": "1"}
    there = Kefu(
        tmp_path / "there",
        environment={
            **common,
            "KEFU_LINK_URL": f"127.0.0.1:{port}",
            **authority.settings("gateway", server=False),
        },
    )
    there.start(wait=False)
    try:
        wait_until(lambda: "link.unreachable" in there.output(), 30, "it waits for the link")
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", there.port))
        there.stop()
        assert there.process is not None
        assert there.process.returncode == 0
        listen = {
            "KEFU_LINK_LISTEN": f"127.0.0.1:{port}",
            **authority.settings("link", server=True),
        }
        with running(tmp_path / "here", **common, **listen) as here:
            one_machine = {"core", "web", "gateway", "projector", "automation", "audit"}
            assert set(here.roles) == one_machine | {"link"}
            there.start()
            assert set(there.roles) == {"gateway"}
            session: dict[str, Any] = there.visitor()
            with client(there, session["token"]) as visitor:
                visitor.send("subscribe", conversation_id=session["conversation_id"])
                visitor.send(
                    "send", ref="1", conversation_id=session["conversation_id"], content="hi"
                )
                visitor.until("message", content="hi")
            assert sorted(path.name for path in there.data_dir.iterdir()) == ["run"]
            there.stop()
            assert there.process.returncode == 0
    finally:
        there.stop()
