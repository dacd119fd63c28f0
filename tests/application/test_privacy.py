"""Commands with keys: what is stored, what is refused, what is forgotten."""

import contextlib
import shutil
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from application.commands.bus import CommandBus
from application.commands.contact import UpdateContact
from application.commands.message import EditMessage, RecallMessage, SendMessage
from application.commands.privacy import EraseContact, LiftLegalHold, PlaceLegalHold
from application.projections.runner import ProjectionRunner
from application.queries.core import Authenticate, ConversationAsOf, ErasureOf
from application.queries.holds import legal_holds
from application.queries.subject import held_data
from application.sealing import IN_CLEAR, Opener
from application.unsealed_feed import UnsealedFeed
from domain.actors import SYSTEM, Actor, ActorKind, Role
from domain.errors import (
    ContactErased,
    ContactNotErased,
    ContactNotFound,
    Forbidden,
    IdempotencyKeyReused,
    LegalHold,
    Unavailable,
)
from infrastructure.eventlog.reader import LogReader
from infrastructure.eventlog.store import EventLog
from infrastructure.keys.signing import FileSigner
from infrastructure.keys.store import SubjectKeyStore
from infrastructure.keys.sweep import KeysLost, destroy_erased, require_keys
from tests.application.conftest import Driver, SteppingClock
from tests.application.projections.fakes import FakeProjectionStore
from tests.keys import opener, subject_keys

SECRET = "the planted sentence"


@pytest.fixture
async def driver(tmp_path: Path) -> AsyncIterator[Driver]:
    with subject_keys(tmp_path / "keys") as keys:
        log, clock = EventLog.open(tmp_path / "log"), SteppingClock()
        signer = FileSigner(tmp_path / "keys" / "sign")
        bus = CommandBus(log, clock, keys=keys, signer=signer)
        bus.start()
        driver = Driver(bus, log, clock)
        driver.keys = keys  # type: ignore[attr-defined]
        yield driver
        await bus.close()
        log.close()


def keys_of(driver: Driver) -> SubjectKeyStore:
    keys: SubjectKeyStore = driver.keys  # type: ignore[attr-defined]
    return keys


async def say(driver: Driver, actor: Actor, ref: str, content: str = SECRET, **more: Any) -> Any:
    command = SendMessage(actor.conversation_id or "", ref, content)
    return (await driver.execute(command, actor, **more)).result


async def everything(driver: Driver) -> tuple[Actor, Any]:
    """A person of whom every kind of personal event is in the log."""
    visitor = await driver.visitor(identifier="id " + SECRET, name=SECRET, email="s@secret.example")
    sent = await say(driver, visitor, "r" + SECRET, key="k1")
    conversation = visitor.conversation_id or ""
    await driver.execute(EditMessage(conversation, sent["message_id"], SECRET + "!"), visitor)
    await driver.execute(UpdateContact(visitor.id, SECRET + " II", None), SYSTEM, key="k2")
    return visitor, sent


def stored(tmp_path: Path) -> bytes:
    return b"".join(path.read_bytes() for path in (tmp_path / "log").rglob("*") if path.is_file())


async def test_nothing_personal_is_stored_in_clear(driver: Driver, tmp_path: Path) -> None:
    visitor, sent = await everything(driver)
    data = stored(tmp_path)
    assert sent["message_id"].encode() in data
    assert SECRET.encode() not in data
    assert b"s@secret.example" not in data
    for recorded in driver.log.read(0, 1000):
        event = Opener(keys_of(driver)).decode(recorded)
        sealed = b'"keyId":"' in recorded.metadata
        assert sealed == bool(event.personal_fields())
        assert sealed == (b'"sealed":"' in recorded.payload)
    again = await say(driver, visitor, "r" + SECRET, SECRET + "!", key="k3")
    assert again == sent


async def test_a_restarted_core_reads_what_it_sealed(driver: Driver) -> None:
    visitor, sent = await everything(driver)
    other = CommandBus(driver.log, driver.clock, keys=keys_of(driver))
    row = await other.query(ConversationAsOf(visitor.conversation_id or ""))
    assert row.last_message.content == SECRET + "!"
    assert row.contact.name == SECRET + " II"
    assert row.last_message.message_id == sent["message_id"]


async def test_an_erased_contact_is_forgotten_by_the_running_core(driver: Driver) -> None:
    visitor, sent = await everything(driver)
    conversation = visitor.conversation_id or ""
    await driver.execute(EraseContact(visitor.id, "asked"))
    position = driver.log.durable_position
    row = await driver.bus.query(ConversationAsOf(conversation, position=position - 2))
    assert (row.last_message.content, row.contact.name, row.contact.email) == ("", None, None)
    principal = await driver.bus.query(Authenticate("token-1"))
    assert principal.actor.name == ""
    cached = [
        entry.state
        for generation in (driver.bus._cache._young, driver.bus._cache._old)
        for entries in generation.values()
        for entry in entries.values()
    ]
    assert SECRET not in repr(cached)
    for command in (
        SendMessage(conversation, "new", "more"),
        EditMessage(conversation, sent["message_id"], "more"),
    ):
        with pytest.raises(ContactErased):
            await driver.execute(command, visitor)
    with pytest.raises(ContactErased):
        await driver.execute(UpdateContact(visitor.id, "x", None))
    with pytest.raises(ContactErased):
        await driver.execute(PlaceLegalHold(conversation, "too late"))
    with pytest.raises(IdempotencyKeyReused):  # what the key stood for is not known any more
        await say(driver, visitor, "r" + SECRET, key="k1")
    await driver.execute(RecallMessage(conversation, sent["message_id"]), visitor)


async def test_erasing_again_writes_nothing(driver: Driver) -> None:
    visitor, _ = await everything(driver)
    with pytest.raises(ContactNotErased):
        await driver.bus.query(ErasureOf(visitor.id))
    await driver.execute(EraseContact(visitor.id, "asked"))
    proof = await driver.bus.query(ErasureOf(visitor.id))
    position = driver.log.durable_position
    await driver.execute(EraseContact(visitor.id, "asked again"))
    assert driver.log.durable_position == position
    assert await driver.bus.query(ErasureOf(visitor.id)) == proof
    assert proof.certificate.in_clear == 0
    with pytest.raises(ContactNotFound):
        await driver.execute(EraseContact("nobody", "asked"))


async def test_events_from_before_there_were_keys_are_read_and_counted(
    driver: Driver, tmp_path: Path
) -> None:
    before = CommandBus(driver.log, driver.clock)
    before.start()
    old = Driver(before, driver.log, driver.clock, driver.ids)
    visitor = await old.visitor(name="Old", email="old@x.example")
    await say(old, visitor, "r1", "in clear")
    await before.close()
    await say(driver, visitor, "r2", SECRET)
    row = await driver.bus.query(ConversationAsOf(visitor.conversation_id or ""))
    assert row.contact.name == "Old"
    await driver.execute(EraseContact(visitor.id, "asked"))
    proof = await driver.bus.query(ErasureOf(visitor.id))
    assert proof.certificate.in_clear == 2  # contact.created and the first message
    assert SECRET.encode() not in stored(tmp_path)


async def test_an_unfinished_erasure_is_not_certified_and_is_finished_by_a_repeat(
    driver: Driver, monkeypatch: pytest.MonkeyPatch
) -> None:
    visitor, _ = await everything(driver)
    keys = keys_of(driver)

    def fails(subject_id: str) -> None:
        raise Unavailable("the disk is gone")

    with monkeypatch.context() as patched:
        patched.setattr(keys, "destroy", fails)
        with pytest.raises(Unavailable, match="the disk is gone"):
            await driver.execute(EraseContact(visitor.id, "asked"))
    with pytest.raises(Unavailable, match="not destroyed yet"):
        await driver.bus.query(ErasureOf(visitor.id))
    await driver.execute(EraseContact(visitor.id, "asked"))
    assert keys.is_destroyed(visitor.id)


async def test_without_a_durable_key_nothing_is_written(
    driver: Driver, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = keys_of(driver)

    def fails() -> None:
        raise Unavailable("no space left")

    with monkeypatch.context() as patched:
        patched.setattr(keys, "save", fails)
        with pytest.raises(Unavailable, match="no space left"):
            await driver.visitor(name="n", contact_id="c-1", conversation_id="v-1")
    assert driver.log.durable_position == 0
    visitor = await driver.visitor(name="n", contact_id="c-1", conversation_id="v-1")
    await say(driver, visitor, "r")
    assert not keys.unsaved


async def test_a_legal_hold_on_any_conversation_forbids_erasure(driver: Driver) -> None:
    visitor = await driver.visitor(name="n")
    conversation = visitor.conversation_id or ""
    admin, agent = await driver.agent(Role.ADMIN), await driver.agent()
    second = await driver.visitor(contact_id=visitor.id)
    await driver.execute(PlaceLegalHold(conversation, "court"), admin)
    with pytest.raises(LegalHold, match=conversation):
        await driver.execute(EraseContact(visitor.id, "asked"), admin)
    for command in (PlaceLegalHold(conversation, "x"), LiftLegalHold(conversation)):
        with pytest.raises(Forbidden):
            await driver.execute(command, agent)
    await say(driver, second, "goes on")
    await driver.execute(LiftLegalHold(conversation), admin)
    await driver.execute(EraseContact(visitor.id, "asked"), admin)
    with pytest.raises(ContactErased):
        await say(driver, second, "ends")


async def test_legal_holds_that_stand_are_listed_from_the_log(
    driver: Driver, tmp_path: Path
) -> None:
    admin = await driver.agent(Role.ADMIN)
    ids = [(await driver.visitor(name="n")).conversation_id or "" for _ in range(3)]
    for id in ids:
        await driver.execute(PlaceLegalHold(id, f"court {id}"), admin)
    await driver.execute(LiftLegalHold(ids[1]), admin)
    with contextlib.closing(LogReader(tmp_path / "log")) as feed:
        found = legal_holds(feed)
    assert [(one.conversation_id, one.reason) for one in found] == [
        (id, f"court {id}") for id in (ids[0], ids[2])
    ]
    assert {one.placed_by for one in found} == {f"agent:{admin.id}"}


@pytest.mark.parametrize("role", [Role.AGENT, Role.AUDITOR])
async def test_agents_and_auditors_erase_nobody(driver: Driver, role: Role) -> None:
    visitor = await driver.visitor(name="n")
    agent = await driver.agent(role)
    for actor in (agent, visitor, Actor(ActorKind.API_KEY, "key")):
        with pytest.raises(Forbidden):
            await driver.execute(EraseContact(visitor.id, "asked"), actor)


async def test_views_from_nothing_are_equal_to_views_that_forgot(
    driver: Driver, tmp_path: Path
) -> None:
    visitor, _ = await everything(driver)
    other = await driver.visitor(name="Other")
    await say(driver, other, "r", "kept")
    feed = LogReader(tmp_path / "log")
    with opener(tmp_path / "keys") as opened, opener(tmp_path / "keys") as fresh:
        followed, small = FakeProjectionStore(), FakeProjectionStore()
        runner = ProjectionRunner(feed, followed, opener=opened)
        runner.catch_up(feed.durable_position())
        assert SECRET in repr(followed.rows)
        await driver.execute(EraseContact(visitor.id, "asked"))
        await say(driver, other, "r2", "kept too")
        runner.catch_up(feed.durable_position())
        assert SECRET not in repr(followed.rows)
        rebuilt = ProjectionRunner(feed, small, opener=fresh, batch_events=3)
        rebuilt.catch_up(feed.durable_position())
    assert followed.rows == small.rows
    assert not followed.parked
    assert not small.parked
    feed.close()


async def test_a_lost_key_is_parked_with_its_name_and_not_shown_as_empty(
    driver: Driver, tmp_path: Path
) -> None:
    visitor = await driver.visitor(name="n")
    feed, store = LogReader(tmp_path / "log"), FakeProjectionStore()
    with subject_keys(tmp_path / "other") as others:
        ProjectionRunner(feed, store, opener=Opener(others)).catch_up(feed.durable_position())
    errors = [parked.error for parked in store.parked]
    key_id = str(keys_of(driver).key_id(visitor.id))
    assert sum(key_id in error for error in errors) == 2  # the contact and its session
    assert store.rows.contacts == {}
    feed.close()


async def test_keys_that_came_back_with_a_backup_are_destroyed_at_the_next_start(
    driver: Driver, tmp_path: Path
) -> None:
    visitor, _ = await everything(driver)
    other = await driver.visitor(name="Other")
    shutil.copytree(tmp_path / "keys", tmp_path / "backup")
    await driver.execute(EraseContact(visitor.id, "asked"))
    feed = LogReader(tmp_path / "log")
    with subject_keys(tmp_path / "backup") as restored:
        assert not restored.is_destroyed(visitor.id)
        assert destroy_erased(feed, restored) == 1
        assert restored.is_destroyed(visitor.id)
        assert not restored.is_destroyed(other.id)
        assert restored.checked_position == driver.log.durable_position
        assert destroy_erased(feed, restored) == 0
        # The log that was put back is shorter: looked through from its beginning.
        restored.checked(10**9)
        assert destroy_erased(feed, restored) == 0
        assert restored.checked_position == driver.log.durable_position
    feed.close()


async def test_a_person_gets_everything_that_is_held_about_it(
    driver: Driver, tmp_path: Path
) -> None:
    visitor, sent = await everything(driver)
    other = await driver.visitor(name="Other")
    await say(driver, other, "r", "not yours", key="k1")
    feed = LogReader(tmp_path / "log")
    with opener(tmp_path / "keys") as opened:
        held = held_data(feed, opened, visitor.id, lambda done, total: None)
        (conversation,) = held.conversations
        assert conversation.conversation.id == visitor.conversation_id
        assert [m.message.content for m in conversation.messages] == [SECRET + "!"]
        assert held.contact.name == SECRET + " II"
        assert held.sessions == ["token-1"]
        types = [event.type for event in held.events]
        assert types.count("idempotency.request_completed.v1") == 2
        assert "not yours" not in repr(held)
        mine = {event.position for event in held.events}
        for recorded in driver.log.read(0, 1000):
            belongs = visitor.id in recorded.stream or sent["message_id"] in recorded.stream
            assert not belongs or recorded.position in mine
        with pytest.raises(ContactNotFound):
            held_data(feed, opened, "nobody", lambda done, total: None)
    feed.close()


async def test_a_log_that_was_put_back_without_its_keys_is_refused(
    driver: Driver, tmp_path: Path
) -> None:
    with subject_keys(tmp_path / "other") as others:
        require_keys(driver.log, others)  # an empty log has none
        await everything(driver)
        require_keys(driver.log, keys_of(driver))
        with pytest.raises(KeysLost):
            require_keys(driver.log, others)


async def test_a_gateway_without_keys_is_given_messages_unsealed(
    driver: Driver, tmp_path: Path
) -> None:
    visitor, sent = await everything(driver)
    with opener(tmp_path / "keys") as opened:
        feed = UnsealedFeed(LogReader(tmp_path / "log"), opened)
        events = feed.read(0, 1000)
        said = [e for e in events if e.stream == f"message-{sent['message_id']}"]
        assert [IN_CLEAR.decode(e).content for e in said] == [SECRET, SECRET + "!"]  # type: ignore[attr-defined]
        assert feed.read_matching(0, 1000, categories=("message",)).events == said
        others = [e for e in events if b'"sealed":"' in e.payload]
        assert {e.stream.partition("-")[0] for e in others} == {"contact", "idempotency", "token"}
        await driver.execute(EraseContact(visitor.id, "asked"))
        opened.forget(str(keys_of(driver).key_id(visitor.id)))
        said = feed.read_matching(0, 1000, categories=("message",)).events
        assert [IN_CLEAR.decode(e).content for e in said] == ["", ""]  # type: ignore[attr-defined]
        feed.close()
