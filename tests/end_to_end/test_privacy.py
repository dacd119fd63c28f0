"""A person is erased: nothing readable of it is left, and history still verifies."""

import base64
import json
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from tests.end_to_end.people import API, fresh, problem
from tests.serving import Kefu, running, wait_until

SENTENCE = "My neighbour Quintilian Obermaier hides 7 tulip bulbs"
SENTENCE_ZH = "我的邻居把七个郁金香球茎藏在地下室里面"
NAME = "Quintilia Zwetschgenbaum"
EMAIL = "quintilia.zwetschgenbaum@mail.example"
IDENTIFIER = "customer-Zwetschgenbaum-77"
PLANTED = (SENTENCE, SENTENCE_ZH, NAME, EMAIL, IDENTIFIER)
LONG = (SENTENCE + ". ") * 200
"""More than fits into a row: Postgres keeps it, compressed or not, in a table of its own."""
KEPT = "Somebody else's words stay as they are"


@pytest.fixture(scope="module")
def kefu(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kefu]:
    data = tmp_path_factory.mktemp("privacy") / "data"
    data.with_name("store").mkdir()
    with running(
        data,
        KEFU_ARCHIVE_URL=data.with_name("store").as_uri(),
        KEFU_SEGMENT_AGE_S="0.5",
        KEFU_RETAIN_SEGMENTS="1",
    ) as system:
        yield system


PAGE = Path(__file__).parents[2] / "docs/howto/privacy.md"
SHOWN = re.findall(r"```sh\n# test: privacy\n(.*?)```", PAGE.read_text(), re.DOTALL)


def find(directory: Path, texts: tuple[str, ...] = PLANTED) -> dict[str, list[str]]:
    """Files that hold any of the texts, as UTF-8, in lower case too, escaped, or in base64."""
    needles: dict[bytes, str] = {}
    for text in texts:
        for form in (text, text.lower(), json.dumps(text)[1:-1]):
            needles[form.encode()] = text
        needles[base64.b64encode(text.encode())[:24]] = text
    found: dict[str, list[str]] = {}
    for path in sorted(directory.rglob("*")):
        if path.is_file():
            data = path.read_bytes()
            hits = sorted({text for needle, text in needles.items() if needle in data})
            if hits:
                found[str(path.relative_to(directory))] = hits
    return found


def database_url(kefu: Kefu) -> str:
    from infrastructure.postgres.embedded import EmbeddedPostgres

    return EmbeddedPostgres(kefu.data_dir / "postgres").url


def dump(url: str) -> str:
    """Every table of every schema of ours, all columns, and what the planner remembers of them."""
    lines: list[str] = []
    with psycopg.connect(url) as connection:
        tables = connection.execute(
            "SELECT format('%I.%I', schemaname, tablename) FROM pg_tables"
            " WHERE schemaname LIKE 'kefu%'"
        ).fetchall()
        for (table,) in tables:
            lines += (row[0] for row in connection.execute(f"SELECT t::text FROM {table} t"))
        lines += (row[0] for row in connection.execute("SELECT s::text FROM pg_stats s"))
    return "\n".join(lines)


class Person:
    """A visitor with two conversations, who wrote, edited, and was written to."""

    def __init__(self, kefu: Kefu, agent: str) -> None:
        self.kefu = kefu
        self.session = kefu.visitor(identifier=IDENTIFIER, name=NAME, email=EMAIL)
        self.contact = self.session["contact_id"]
        self.conversation = self.session["conversation_id"]
        self.token = self.session["token"]
        first = self.say(SENTENCE, key="k-1")
        path = f"{API}/conversations/{self.conversation}/messages/{first['message_id']}"
        kefu.request("PATCH", path, {"content": SENTENCE_ZH}, self.token)
        self.say(LONG)
        self.say(f"About {NAME}: call back", token=agent)
        self.last = self.say(f"Note: {EMAIL}", token=agent, private=True)

    def say(
        self, content: str, token: str | None = None, key: str | None = None, **more: Any
    ) -> Any:
        headers = {"Idempotency-Key": key} if key else {}
        return self.kefu.post(
            f"{API}/conversations/{self.conversation}/messages",
            {"content": content, **more},
            token or self.token,
            headers=headers,
        )


def archive(kefu: Kefu) -> None:
    """Until the segments with the planted events are in the archive."""
    other = kefu.visitor(name="Filler")
    path = f"{API}/conversations/{other['conversation_id']}/messages"

    def sealed() -> bool:
        # Segments are sealed by age when something is appended.
        kefu.post(path, {"content": KEPT}, other["token"])
        info = json.loads(kefu.cli("log", "info", "--json").stdout)
        return sum(row["sealed"] for row in info["segments"]) >= 3

    wait_until(sealed, 60, "sealed segments")

    def archived() -> bool:
        done = kefu.cli("log", "archive", "--json", check=False)
        assert done.returncode == 0 or "Another process is archiving" in done.stderr
        return done.returncode == 0

    wait_until(archived, 60, "segments in the archive")
    assert [path for path in store(kefu).rglob("*") if path.stat().st_size > 500]


def store(kefu: Kefu) -> Path:
    return kefu.data_dir.with_name("store")


def test_an_erased_contact_leaves_no_plaintext_anywhere_and_the_log_still_verifies(
    kefu: Kefu, tmp_path: Path
) -> None:
    admin = kefu.login()
    _, agent = kefu.agent()
    person = Person(kefu, agent)
    other = kefu.visitor(name="Other Person", identifier="other-1")
    said = kefu.post(
        f"{API}/conversations/{other['conversation_id']}/messages",
        {"content": KEPT},
        other["token"],
    )
    kefu.get(f"{API}/conversations/{person.conversation}", admin, headers=fresh(said))
    archive(kefu)
    # It was there, for those who may see it, and never in a file of the log.
    assert SENTENCE in kefu.cli("log", "export").stdout
    assert not find(kefu.data_dir / "log")
    assert not find(store(kefu))
    assert SENTENCE_ZH in dump(database_url(kefu))
    key_file = kefu.data_dir / "keys"
    before = kefu.get(f"{API}/contacts/{other['contact_id']}", admin)[1]
    kefu.cli("log", "backup", str(tmp_path / "backup"))
    assert not list((tmp_path / "backup").rglob("*sqlite*"))

    printed = kefu.cli("privacy", "erase", person.contact, "--yes", "--reason", "GDPR 17").stdout
    proof = json.loads(printed)

    certificate = proof["certificate"]
    body = json.dumps(certificate, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    key = Ed25519PublicKey.from_public_bytes(base64.b64decode(proof["public_key"]))
    key.verify(base64.b64decode(proof["signature"]), body.encode())
    assert (certificate["contact_id"], certificate["in_clear"]) == (person.contact, 0)
    status, again = kefu.get(f"{API}/contacts/{person.contact}/erasure", admin)
    assert (status, again) == (200, proof)

    position = {"Kefu-Min-Position": str(certificate["position"])}
    contact = kefu.get(f"{API}/contacts/{person.contact}", admin, headers=position)[1]
    assert [contact[field] for field in ("name", "email", "identifier")] == [None] * 3
    assert contact["erased_at"] is not None
    path = f"{API}/conversations/{person.conversation}"
    rows = kefu.get(f"{path}/messages", admin)[1]["data"]
    assert [row["content"] for row in rows] == [""] * 4
    assert [row["author"]["name"] for row in rows if row["author"]["kind"] == "visitor"] == ["", ""]
    for word in ("Quintilian", "郁金香", "Zwetschgenbaum"):
        found = kefu.request("GET", f"{API}/conversations?q={_quoted(word)}", None, admin)[1]
        assert found["data"] == []

    # No reader shows it: the feed, the log's commands, time travel, the person's own export.
    as_of = kefu.get(f"{path}?as_of={certificate['position'] - 1}", admin)
    assert as_of[0] == 200
    auditor = kefu.agent("auditor")[1]
    feed = kefu.get(f"{API}/events?limit=200&categories=message,contact", auditor)
    texts = [
        kefu.cli("log", "export").stdout,
        kefu.cli("log", "export", "--sealed").stdout,
        kefu.cli("privacy", "export", person.contact).stdout,
        json.dumps([as_of, feed], ensure_ascii=False),
        dump(database_url(kefu)),
    ]
    for text in texts:
        assert not [planted for planted in PLANTED if planted in text or planted.lower() in text]
    kefu.cli("privacy", "export", person.contact, "--output", str(tmp_path / "export"))
    assert not find(tmp_path / "export")

    # Nor a file: the small tables were written anew.
    wait_until(lambda: not find(kefu.data_dir), 60, f"nothing is left: {find(kefu.data_dir)}")
    assert not find(store(kefu))
    assert not find(tmp_path / "backup")
    assert key_file.stat().st_mode & 0o777 == 0o700
    assert (key_file / "subjects.sqlite3").stat().st_mode & 0o777 == 0o600

    assert json.loads(kefu.cli("log", "verify", "--json").stdout)["ok"]
    assert kefu.get(f"{API}/contacts/{other['contact_id']}", admin)[1] == before
    rows = kefu.get(f"{API}/conversations/{other['conversation_id']}/messages", admin)[1]["data"]
    assert [row["content"] for row in rows] == [KEPT]

    # Views from nothing are the same, and leave nothing either.
    contacts = kefu.get(f"{API}/contacts?limit=200", admin)
    messages = kefu.get(f"{path}/messages", admin)
    kefu.cli("views", "rebuild")
    assert kefu.get(f"{API}/contacts?limit=200", admin) == contacts
    assert kefu.get(f"{path}/messages", admin) == messages
    wait_until(lambda: not find(kefu.data_dir), 30, "nothing is left after the rebuild")


def test_after_an_erasure_nothing_can_be_said_and_a_new_session_is_a_new_contact(
    kefu: Kefu,
) -> None:
    admin = kefu.login()
    session = kefu.visitor(identifier="comes-back", name="Comes Back")
    messages = f"{API}/conversations/{session['conversation_id']}/messages"
    kefu.post(messages, {"content": "hello"}, session["token"])
    erase = f"{API}/contacts/{session['contact_id']}/erase"
    first = kefu.post(erase, {}, admin)
    assert kefu.post(erase, {"reason": "again"}, admin) == first
    for token in (session["token"], admin):
        refused = problem(kefu, "POST", messages, {"content": "more"}, token)
        assert refused == (409, "contact-erased")
    change = problem(
        kefu, "PATCH", f"{API}/contacts/{session['contact_id']}", {"name": "Me"}, admin
    )
    assert change == (409, "contact-erased")
    back = kefu.visitor(identifier="comes-back", name="Comes Back")
    assert back["contact_id"] != session["contact_id"]
    kefu.post(
        f"{API}/conversations/{back['conversation_id']}/messages", {"content": "hi"}, back["token"]
    )
    more = kefu.post(f"{API}/widget/sessions", {"new_conversation": True}, session["token"])
    assert more["contact_id"] == back["contact_id"]


def test_a_legal_hold_keeps_a_contact_from_being_erased(kefu: Kefu) -> None:
    admin = kefu.login()
    session = kefu.visitor(name="Held")
    path = f"{API}/conversations/{session['conversation_id']}/legal-hold"
    held = kefu.post(path, {"reason": "court order 7"}, admin)
    assert held["legal_hold"]["reason"] == "court order 7"
    erase = f"{API}/contacts/{session['contact_id']}/erase"
    assert problem(kefu, "POST", erase, {}, admin) == (409, "legal-hold")
    done = kefu.cli("privacy", "erase", session["contact_id"], "--yes", check=False)
    assert done.returncode == 1
    assert "under legal hold" in done.stderr
    missing = problem(kefu, "GET", f"{API}/contacts/{session['contact_id']}/erasure", None, admin)
    assert missing == (404, "not-erased")

    def row() -> Any:
        return kefu.get(f"{API}/conversations/{session['conversation_id']}", admin)[1]["legal_hold"]

    wait_until(lambda: row() == held["legal_hold"], 10, "the hold in the views")
    status, lifted, _ = kefu.request("DELETE", path, None, admin)
    assert (status, lifted["legal_hold"]) == (200, None)
    kefu.cli("privacy", "hold", session["conversation_id"], "--reason", "court order 8")
    (one,) = json.loads(kefu.cli("privacy", "holds", "--json").stdout)
    assert (one["conversation_id"], one["reason"]) == (session["conversation_id"], "court order 8")
    assert "court order 8" in kefu.cli("privacy", "holds").stdout
    assert problem(kefu, "POST", erase, {}, admin) == (409, "legal-hold")
    kefu.cli("privacy", "release", session["conversation_id"])
    assert json.loads(kefu.cli("privacy", "holds", "--json").stdout) == []
    assert kefu.post(erase, {}, admin)["certificate"]["contact_id"] == session["contact_id"]
    assert problem(kefu, "POST", path, {"reason": "too late"}, admin) == (409, "contact-erased")


def test_who_may_erase(kefu: Kefu) -> None:
    admin = kefu.login()
    session = kefu.visitor(name="Asks")
    erase = f"{API}/contacts/{session['contact_id']}/erase"

    def key(scope: str) -> str:
        return str(kefu.post(f"{API}/api_keys", {"name": scope, "scopes": [scope]}, admin)["token"])

    _, agent = kefu.agent()
    _, auditor = kefu.agent("auditor")
    for token in (agent, auditor, session["token"], key("events:read"), key("messages:write")):
        assert problem(kefu, "POST", erase, {}, token) == (403, "forbidden")
    proof = kefu.post(erase, {}, key("contacts:erase"))
    assert proof["certificate"]["requested_by"].startswith("api_key:")
    assert kefu.get(f"{API}/contacts/{session['contact_id']}/erasure", auditor) == (200, proof)


def test_the_commands_of_the_how_to_work(kefu: Kefu, tmp_path: Path) -> None:
    session = kefu.visitor(name="<b>Reads the how-to</b>")
    path = f"{API}/conversations/{session['conversation_id']}/messages"
    kefu.post(path, {"content": "mine & <i>only</i> mine"}, session["token"])
    lines = "".join(SHOWN).splitlines()
    assert len(lines) == 4
    printed = []
    for line in lines:
        line = line.replace("$CONTACT", session["contact_id"])
        line = line.replace("--output person", f"--output {tmp_path}")
        printed.append(kefu.cli(*shlex.split(line)[1:]).stdout)
    assert printed[1] == printed[2]
    held = json.loads((tmp_path / "person.json").read_text())
    assert held["conversations"][0]["messages"][0]["content"] == "mine & <i>only</i> mine"
    page = (tmp_path / "person.html").read_text()
    assert "mine &amp; &lt;i&gt;only&lt;/i&gt; mine" in page
    assert "<b>" not in page
    assert (tmp_path / "person.json").stat().st_mode & 0o777 == 0o600
    # The core that runs goes on with the new master key.
    kefu.visitor(name="After the rotation")


def _quoted(text: str) -> str:
    from urllib.parse import quote

    return quote(text)
