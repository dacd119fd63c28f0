"""Two gateways, a visitor on one and an agent on the other; one is killed."""

import dataclasses
import subprocess
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest

from tests.end_to_end.test_main_job_websocket import client
from tests.serving import Kefu, free_port, running, wait_until
from tests.valkey_cluster import ValkeyCluster
from tests.valkey_cluster import cluster as cluster

pytestmark = pytest.mark.faults


@pytest.fixture(scope="module", params=["one machine", "a cluster"])
def system(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Kefu]:
    environment = {}
    if request.param == "a cluster":
        cluster: ValkeyCluster = request.getfixturevalue("cluster")
        environment["KEFU_CLUSTER_URL"] = cluster.url
    with running(tmp_path_factory.mktemp("apart") / "data", **environment) as found:
        yield found


@pytest.fixture
def other(system: Kefu) -> Iterator[Kefu]:
    """One more gateway over the same data directory, on another port."""
    environment = {**system.environment, "KEFU_GATEWAY_NUMBER": "9"}
    found = dataclasses.replace(system, port=free_port(), environment=environment, process=None)
    with found.log_file.open("ab") as output:
        found.process = subprocess.Popen(
            found.command("serve", "--role", "gateway"),
            env=found.full_environment(),
            stdout=output,
            stderr=output,
        )
    try:
        found.wait_ready()
        wait_until(lambda: _connected(system) and _connected(found), 30, "the bus is connected")
        yield found
    finally:
        found.kill()


def _connected(kefu: Kefu) -> bool:
    """Every process of both has found all of its peers; the scrape shows those of the machine."""
    with urllib.request.urlopen(kefu.url + "/metrics", timeout=10) as answer:
        lines = answer.read().decode().splitlines()
    known = [line.split()[1] for line in lines if line.startswith("kefu_live_bus_peers{")]
    connected = [line.split()[1] for line in lines if line.startswith("kefu_live_bus_connected{")]
    return len(known) >= 3 and known == connected and "0.0" not in known


def test_typing_messages_and_presence_reach_an_agent_on_another_gateway(
    system: Kefu, other: Kefu
) -> None:
    session: dict[str, Any] = system.visitor()
    _, token = system.agent()
    id = session["conversation_id"]
    with client(system, token) as agent:
        agent.send("subscribe", conversation_id=id, presence=True)
        assert agent.until("presence")["online"] is False
        with client(other, session["token"]) as visitor:
            visitor.send("subscribe", conversation_id=id)
            assert agent.until("presence")["online"] is True
            visitor.until("subscribed")
            visitor.send("typing", conversation_id=id, on=True)
            assert agent.until("typing")["author"]["id"] == session["contact_id"]
            agent.send("send", ref="1", conversation_id=id, content="hello")
            assert visitor.until("message")["content"] == "hello"
        assert agent.until("presence")["online"] is False


def test_the_visitors_of_a_killed_gateway_are_gone_soon(system: Kefu, other: Kefu) -> None:
    session: dict[str, Any] = system.visitor()
    _, token = system.agent()
    with client(other, session["token"]), client(system, token) as agent:
        agent.send("subscribe", conversation_id=session["conversation_id"], presence=True)
        while not agent.until("presence")["online"]:  # on its way through the bus
            pass
        other.kill()
        # In a cluster its entries live for up to 30 s, and are looked at every 10.
        assert agent.until("presence", bound_s=60)["online"] is False
