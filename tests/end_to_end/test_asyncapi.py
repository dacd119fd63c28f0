"""docs/asyncapi.yaml: valid, complete, and what a running system says.

`asyncapi-3.0.0.schema.json` is the official JSON schema, unchanged, so that this needs no network:
`schemas/3.0.0-without-$id.json` of the npm package `@asyncapi/specs` 6.11.1 (Apache-2.0).
"""

import json
import re
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, get_args

import msgspec
import pytest
import yaml
from jsonschema import Draft7Validator, FormatChecker
from websockets.sync.client import ClientConnection, connect

from domain import errors
from domain.text import MAX_CONTENT_CHARS, MAX_LABEL_CHARS, MAX_LABELS, MAX_REF_CHARS
from interfaces import authentication
from interfaces.gateway import (
    connection,
    frames,
    handshake,
    hub,
    limits,
    protocol,
    session,
    transport,
    websocket,
)
from tests.end_to_end.people import API, World
from tests.serving import Kefu

ROOT = Path(__file__).parents[2]
DOCUMENT: dict[str, Any] = yaml.safe_load((ROOT / "docs/asyncapi.yaml").read_text())
CHANNEL = DOCUMENT["channels"]["ws"]
MESSAGES: dict[str, dict[str, Any]] = DOCUMENT["components"]["messages"]
SCHEMAS: dict[str, dict[str, Any]] = DOCUMENT["components"]["schemas"]
WAIT_S = 60.0


def payload_schema(name: str) -> dict[str, Any]:
    """Of a message, with what it refers to."""
    return {**MESSAGES[name]["payload"], "components": {"schemas": SCHEMAS}}


def faults(name: str, frame: Any) -> list[str]:
    validator = Draft7Validator(payload_schema(name), format_checker=FormatChecker())
    return [error.message for error in validator.iter_errors(frame)]


def type_of(name: str) -> str:
    """The `type` that frames of a message have."""
    (found,) = [const for key, const in consts(MESSAGES[name]["payload"]) if key == "type"]
    return found


def consts(schema: Any) -> Iterator[tuple[str, str]]:
    if isinstance(schema, dict):
        for key, value in schema.get("properties", {}).items():
            if "const" in value:
                yield key, value["const"]
        for part in schema.get("allOf", []):
            yield from consts(part)


def names_in(*actions: str) -> set[str]:
    """Messages of the operations with one of these actions, and of their replies."""
    found = set()
    for operation in DOCUMENT["operations"].values():
        if operation["action"] in actions:
            found |= {one["$ref"].rpartition("/")[2] for one in operation["messages"]}
        if "reply" in actions:
            replies = operation.get("reply", {}).get("messages", [])
            found |= {one["$ref"].rpartition("/")[2] for one in replies}
    return found


FROM_CLIENT = names_in("receive")
FROM_SERVER = names_in("send", "reply")


def undocumented(schema: dict[str, Any], value: Any) -> set[str]:
    """Keys of objects in a value that the schema does not name."""
    if "$ref" in schema:
        return undocumented(SCHEMAS[schema["$ref"].rpartition("/")[2]], value)
    branches = [*schema.get("allOf", []), *schema.get("oneOf", [])]
    if not isinstance(value, dict):
        return set()
    if branches:
        unknown = [undocumented(branch, value) for branch in branches]
        return set.intersection(*unknown)
    known = schema.get("properties", {})
    found = set(value) - set(known)
    for key in set(value) & set(known):
        found |= {f"{key}.{inner}" for inner in undocumented(known[key], value[key])}
    return found


def test_the_document_fits_the_official_schema() -> None:
    schema = json.loads(Path(__file__).with_name("asyncapi-3.0.0.schema.json").read_text())
    Draft7Validator.check_schema(schema)
    assert [e.message for e in Draft7Validator(schema).iter_errors(DOCUMENT)] == []


def test_the_official_schema_does_refuse() -> None:
    schema = json.loads(Path(__file__).with_name("asyncapi-3.0.0.schema.json").read_text())
    broken = {**DOCUMENT, "channels": {"ws": {**CHANNEL, "messages": {"send": {"payloud": {}}}}}}
    assert not Draft7Validator(schema).is_valid(broken)


def test_every_reference_leads_somewhere() -> None:
    def references(value: Any) -> Iterator[str]:
        if isinstance(value, dict):
            if isinstance(value.get("$ref"), str):
                yield value["$ref"]
            for inner in value.values():
                yield from references(inner)
        elif isinstance(value, list):
            for inner in value:
                yield from references(inner)

    for reference in references(DOCUMENT):
        found: Any = DOCUMENT
        for key in reference.removeprefix("#/").split("/"):
            found = found[key]
    assert set(CHANNEL["messages"]) == set(MESSAGES) == FROM_CLIENT | FROM_SERVER


def test_every_frame_type_that_the_server_decodes_is_documented_with_its_fields() -> None:
    documented = {type_of(name): MESSAGES[name]["payload"] for name in FROM_CLIENT}
    decoded = {cls.__struct_config__.tag: cls for cls in get_args(frames.ClientFrame)}
    assert documented.keys() == decoded.keys()
    for tag, cls in decoded.items():
        schema, fields = documented[tag], msgspec.structs.fields(cls)
        assert set(schema["properties"]) == {"type", *(f.encode_name for f in fields)}
        assert set(schema["required"]) == {"type", *(f.encode_name for f in fields if f.required)}
        assert schema["additionalProperties"] is False
        for field in fields:
            if not field.required and field.default is not None:
                assert schema["properties"][field.encode_name]["default"] == field.default


def test_every_frame_type_that_the_server_writes_is_documented() -> None:
    sources = [path.read_text() for path in ROOT.glob("interfaces/gateway/*.py")]
    written = {found for text in sources for found in re.findall(r'"type": "(\w+)"', text)}
    # A cursor's type is one of two.
    written |= {"read", "delivered"}
    assert {type_of(name) for name in FROM_SERVER} == written


@pytest.mark.parametrize("name", sorted(MESSAGES))
def test_every_message_has_examples_and_they_fit_its_schema(name: str) -> None:
    Draft7Validator.check_schema(payload_schema(name))
    examples = [example["payload"] for example in MESSAGES[name]["examples"]]
    assert examples
    for example in examples:
        assert faults(name, example) == []
        assert undocumented(MESSAGES[name]["payload"], example) == set()


@pytest.mark.parametrize("name", sorted(FROM_CLIENT))
def test_every_example_of_a_clients_frame_is_decoded(name: str) -> None:
    for example in MESSAGES[name]["examples"]:
        frame = frames.decode(json.dumps(example["payload"]))
        assert msgspec.to_builtins(frame).items() >= example["payload"].items()


def test_limits_and_codes_are_those_of_the_code() -> None:
    assert CHANNEL["address"] == handshake.PATH
    assert CHANNEL["x-subprotocols"][0] == handshake.SUBPROTOCOL
    assert websocket.MAX_FRAME_BYTES == transport.MAX_FRAME_BYTES
    assert CHANNEL["x-limits"] == {
        "frame_bytes": websocket.MAX_FRAME_BYTES,
        "content_characters": MAX_CONTENT_CHARS,
        "ref_characters": MAX_REF_CHARS,
        "seq": frames.MAX_INT,
        "subscriptions": session.MAX_SUBSCRIPTIONS,
        "sends_without_ack": session.MAX_IN_FLIGHT,
        "output_bytes_waiting": connection.MAX_OUTPUT_BYTES,
    }
    query = CHANNEL["bindings"]["ws"]["query"]["properties"]["token"]
    assert query["maxLength"] == authentication.MAX_TOKEN_CHARS
    assert MESSAGES["send"]["payload"]["properties"]["content"]["maxLength"] == MAX_CONTENT_CHARS
    assert SCHEMAS["ref"]["maxLength"] == MAX_REF_CHARS
    assert SCHEMAS["seq"]["maximum"] == SCHEMAS["seq_or_0"]["maximum"] == frames.MAX_INT
    labels = SCHEMAS["conversation"]["properties"]["labels"]
    assert (labels["maxItems"], labels["items"]["maxLength"]) == (MAX_LABELS, MAX_LABEL_CHARS)


def test_every_close_code_that_the_server_sends_is_documented() -> None:
    modules = (protocol, session, transport, websocket, limits, hub)
    used = {
        value
        for module in modules
        for key, value in vars(module).items()
        if key.lstrip("_").startswith("CLOSE_") and isinstance(value, int) and value > 1000
    }
    documented = CHANNEL["x-close-codes"]
    assert used == set(documented)
    for code in documented:
        assert f"| {code} |" in CHANNEL["description"]


def test_every_error_that_a_send_may_meet_is_documented() -> None:
    met = [errors.Busy, errors.Unavailable, errors.InvalidInput, errors.ContentEmpty]
    met += [errors.ContentTooLong, errors.ContentInvalid, errors.ConversationNotFound]
    met += [errors.ConversationResolved, errors.ContactErased]
    met += [errors.RefReused, errors.Forbidden]
    described = MESSAGES["error"]["payload"]["properties"]["code"]["description"]
    for error in met:
        assert f"`{error.code}`" in described


class Recorder:
    """A connection that keeps what was said, each way."""

    def __init__(self, socket: ClientConnection, said: dict[str, list[Any]]) -> None:
        self.socket = socket
        self.said = said

    def send(self, type: str, **fields: Any) -> None:
        frame = {"type": type, **fields}
        (name,) = [name for name in FROM_CLIENT if type_of(name) == type]
        assert faults(name, frame) == []
        self.socket.send(json.dumps(frame))

    def until(self, type: str, **fields: Any) -> Any:
        while True:
            frame = json.loads(self.socket.recv(WAIT_S))
            self.said[frame["type"]].append(frame)
            if frame["type"] == type and fields.items() <= frame.items():
                return frame


@contextmanager
def recording(kefu: Kefu, token: str, said: dict[str, list[Any]]) -> Iterator[Recorder]:
    subprotocols: Any = ["kefu.v1", f"bearer.{token}"]
    with connect(kefu.ws_url, subprotocols=subprotocols) as socket:
        yield Recorder(socket, said)


def whole_session(world: World) -> dict[str, list[Any]]:
    """Every kind of frame that a server sends, from a real system."""
    kefu, said = world.kefu, defaultdict[str, list[Any]](list)
    visitor = kefu.visitor(name="李雷", email="lilei@mail.example", identifier="user-42")
    id = visitor["conversation_id"]
    path = f"{API}/conversations/{id}"
    with recording(kefu, world.agent, said) as agent, recording(kefu, visitor["token"], said) as me:
        agent.send("subscribe_inbox")
        for one in (agent, me):
            one.send("subscribe", conversation_id=id, after_seq=0)
            one.until("subscribed")
        me.send("send", ref="1", conversation_id=id, content="在吗？")
        ack = me.until("ack")
        agent.until("message")
        agent.until("conversation", last_seq=1)
        agent.send("send", ref="n", conversation_id=id, content="a note", private=True)
        agent.until("message", private=True)
        agent.send("typing", conversation_id=id, on=True)
        me.until("typing")
        agent.send("read", conversation_id=id, seq=1)
        me.until("read")
        me.send("delivered", conversation_id=id, seq=1)
        agent.until("delivered")
        message = f"{path}/messages/{ack['message_id']}"
        for request in (("PATCH", message, {"content": "在吗？？"}), ("DELETE", message)):
            status, body, _ = kefu.request(*request, token=visitor["token"])
            assert 200 <= status < 300, body
        agent.until("message_updated", content="")
        for change in ({"status": "resolved"}, {"status": "open"}):
            kefu.post(f"{path}/toggle_status", change, world.agent)
        kefu.post(f"{path}/assignments", {"assignee_id": world.agent_id}, world.agent)
        agent.until("conversation", assignee_id=world.agent_id)
        order = {"total": "99.00", "currency": "CNY"}
        kefu.request("PUT", f"{API}/orders/said", order, world.admin)
        asked = {"order_reference": "said", "amount": "9.00", "currency": "CNY", "reason": "碎了"}
        kefu.post(f"{path}/refunds", asked, world.agent)
        agent.until("refund", conversation_id=id, status="requested", saga_status=None)
        me.send("ping", ref="p")
        me.until("pong")
        me.socket.send('{"type":"ping"}')
        me.until("pong", ref=None)
        me.socket.send('{"type":"nonsense","ref":"x"}')
        me.until("error", ref="x")
        me.send("subscribe_inbox")
        me.until("error", code="forbidden")
        agent.send("unsubscribe", conversation_id=id)
        agent.send("subscribe", conversation_id=id, presence=True)
        agent.until("presence", online=True)
    return said


def test_what_a_running_system_says_is_what_the_document_says(world: World) -> None:
    said = whole_session(world)
    by_type = {type_of(name): name for name in FROM_SERVER}
    assert said.keys() == by_type.keys()
    for type, heard in said.items():
        for frame in heard:
            assert faults(by_type[type], frame) == [], frame
            assert undocumented(MESSAGES[by_type[type]]["payload"], frame) == set(), frame
