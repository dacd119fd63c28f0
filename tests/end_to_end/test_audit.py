"""The transparency log of a running system, as auditors see it."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any, ClassVar

import pytest

from infrastructure.transparency import receipt
from infrastructure.transparency.leaves import split_bundle
from infrastructure.transparency.signed_note import open_checkpoint, parse_vkey
from infrastructure.transparency.tree import leaf_hash
from tests.serving import Kefu, running, wait_until
from tests.tools import require

API = "/api/v1"
PAGE = Path(__file__).parents[2] / "docs/howto/audit.md"
SHOWN = re.findall(r"```sh\n# test: audit\n(.*?)```", PAGE.read_text(), re.DOTALL)


def text(kefu: Kefu, path: str, token: str) -> tuple[bytes, dict[str, str]]:
    status, body, headers = kefu.request("GET", path, None, token)
    assert status == 200, (path, body)
    return str(body).encode(), headers


def raw(kefu: Kefu, path: str, token: str) -> tuple[bytes, dict[str, str]]:
    import urllib.request

    request = urllib.request.Request(kefu.url + path, headers={"Authorization": f"Bearer {token}"})
    with urllib.request.urlopen(request, timeout=10) as answer:
        return answer.read(), dict(answer.headers)


@pytest.fixture
def sent(kefu: Kefu) -> dict[str, Any]:
    session = kefu.visitor(name="Audit")
    path = f"{API}/conversations/{session['conversation_id']}/messages"
    found: dict[str, Any] = kefu.post(path, {"content": "证明我"}, session["token"])
    return found


def test_a_receipt_of_a_new_event_is_there_at_once_and_verifies_offline(
    kefu: Kefu, sent: dict[str, Any], tmp_path: Path
) -> None:
    auditor, position = kefu.agent("auditor")[1], sent["position"]
    vkey = kefu.cli("audit", "key").stdout.strip()
    found, headers = raw(kefu, f"{API}/events/{position}/receipt", auditor)
    assert headers["content-type"] == "text/plain; charset=utf-8"
    proven = receipt.verify(found, parse_vkey(vkey))
    assert proven.leaf.position == position
    assert proven.checkpoint.size >= position

    file, event = tmp_path / "r.tlog-proof", tmp_path / "event.json"
    file.write_bytes(found)
    line = kefu.cli("log", "export", "--sealed", "--after", str(position - 1)).stdout.splitlines()[
        0
    ]
    event.write_text(line)

    def check(event: Path, key: str = vkey) -> subprocess.CompletedProcess[str]:
        command = ["audit", "verify-receipt", str(file), "--key", key, "--event", str(event)]
        return subprocess.run(
            [sys.executable, "-m", "interfaces.cli.main", *command, "--json"],
            env={"PATH": "", "KEFU_DATA_DIR": str(tmp_path / "nowhere")},
            capture_output=True,
            text=True,
            check=False,
        )

    done = check(event)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["event_checked"]
    event.write_text(line.replace('"position"', '"was"'))
    assert check(event).returncode == 1
    event.write_text(line.replace("actor", "aktor"))
    assert "the event's metadata is not what the receipt proves" in check(event).stderr
    assert check(event, vkey[:-4]).returncode == 2


def test_checkpoint_and_tiles_are_served_as_tlog_tiles_says(
    kefu: Kefu, sent: dict[str, Any]
) -> None:
    auditor = kefu.agent("auditor")[1]
    raw(kefu, f"{API}/events/{sent['position']}/receipt", auditor)
    note, headers = raw(kefu, "/audit/checkpoint", auditor)
    assert headers["content-type"] == "text/plain; charset=utf-8"
    assert headers["cache-control"] == "no-cache"
    found = open_checkpoint(note, parse_vkey(kefu.cli("audit", "key").stdout))
    width = min(found.size, 256)
    partial = "" if width == 256 else f".p/{width}"
    hashes, headers = raw(kefu, f"/audit/tile/0/000{partial}", auditor)
    assert "immutable" in headers["cache-control"]
    bundle, _ = raw(kefu, f"/audit/tile/entries/000{partial}", auditor)
    leaves = split_bundle(bundle)
    assert b"".join(map(leaf_hash, leaves)) == hashes
    for path, code in (
        ("/audit/tile/0/999", "tile-not-found"),
        ("/audit/tile/0/../../keys/audit-signing.key", "tile-not-found"),
        ("/audit/tile/9/000", "tile-not-found"),
        (f"{API}/events/999999999/receipt", "event-not-found"),
    ):
        status, body = kefu.get(path, auditor)
        assert (status, body["code"]) == (404, code), path


def test_health_and_metrics_show_the_tree(kefu: Kefu, sent: dict[str, Any]) -> None:
    position = sent["position"]
    state = wait_until(
        lambda: (found := kefu.get("/readyz")[1]["audit"])["size"] >= position and found,
        30,
        "a checkpoint without anybody who asks",
    )
    assert state["refused"] is None
    metrics = str(kefu.get("/metrics")[1])
    assert re.search(r"^kefu_audit_signed_size \d", metrics, re.M)
    assert "kefu_audit_refused 0.0" in metrics


def test_the_page_for_auditors_works_as_it_is_printed(kefu: Kefu, tmp_path: Path) -> None:
    require("curl")
    shell = require("sh")
    token = kefu.agent("auditor")[1]
    python = f'kefu() {{ "{sys.executable}" -m interfaces.cli.main "$@"; }}'
    script = "\n".join(["set -e", python, *SHOWN])
    environment = {
        **kefu.full_environment(),
        "KEFU_URL": kefu.url,
        "TOKEN": token,
        "PYTHONPATH": os.fspath(PAGE.parents[2]),
    }
    done = subprocess.run(
        [shell, "-c", script],
        env=environment,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "as they were signed" in done.stdout
    assert "the given event is this one" in done.stdout
    assert "events are in the log of" in done.stdout
    assert len(SHOWN) == 6


class _Inbox(BaseHTTPRequestHandler):
    """Takes notes; fails the first time."""

    notes: ClassVar[list[bytes]]
    failures: ClassVar[int]

    def do_POST(self) -> None:
        note = self.rfile.read(int(self.headers["Content-Length"]))
        kind = type(self)
        if kind.failures:
            kind.failures -= 1
            self.send_response(500)
        else:
            kind.notes.append(note)
            self.send_response(204)
        self.end_headers()

    def log_message(self, *arguments: Any) -> None:
        pass


@pytest.fixture
def inbox() -> Iterator[tuple[str, type[_Inbox]]]:
    class Inbox(_Inbox):
        notes: ClassVar = []
        failures = 1

    server = ThreadingHTTPServer(("127.0.0.1", 0), Inbox)
    Thread(target=server.serve_forever).start()
    yield f"http://127.0.0.1:{server.server_port}/notes", Inbox
    server.shutdown()
    server.server_close()


def test_checkpoints_are_pushed_and_a_changed_log_is_refused_at_the_next_start(
    tmp_path: Path, inbox: tuple[str, type[_Inbox]]
) -> None:
    url, notes = inbox
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    with running(
        tmp_path / "data",
        KEFU_AUDIT_PUSH_URL=url,
        KEFU_AUDIT_PUSH_FILES=f"{folder},{tmp_path / 'newest'}",
        KEFU_AUDIT_ORIGIN="audit.example/kefu",
        KEFU_AUDIT_CHECKPOINT_S="0.2",
    ) as kefu:
        kefu.visitor(name="x")
        size = kefu.get("/readyz")[1]["log_position"]
        vkey = parse_vkey(kefu.cli("audit", "key").stdout)
        assert vkey.name == "audit.example/kefu"

        def newest() -> bool:
            files = sorted(folder.glob("*.checkpoint"))
            seen = [path.read_bytes() for path in files[-1:]]
            seen += [path.read_bytes() for path in [tmp_path / "newest"] if path.exists()]
            seen += notes.notes[-1:]
            return len(seen) == 3 and all(open_checkpoint(one, vkey).size >= size for one in seen)

        wait_until(newest, 30, "checkpoints everywhere")
        assert re.search(r'^kefu_audit_push_failures_total\{target="url"\} 1', _metrics(kefu), re.M)
        kefu.stop()
        pinned = (tmp_path / "newest").read_bytes()
        # The log is gone, and another begins in its place: what was signed is not in it.
        log = kefu.data_dir / "log"
        for path in log.iterdir():
            if path.is_file():
                path.unlink()
            elif path.name in ("index", "maps"):
                for cache in path.iterdir():
                    cache.unlink()
        kefu.environment["KEFU_GATEWAYS"] = "0"
        kefu.start(wait=False)

        def refused() -> bool:
            found = kefu.get("/readyz")[1]
            return bool(found and found["audit"]["refused"])

        wait_until(refused, 60, "the refusal is shown")
        assert "audit.refused" in kefu.output()
        assert "kefu_audit_refused 1.0" in _metrics(kefu)
        assert kefu.cli("audit", "verify", check=False).returncode == 1
        assert (tmp_path / "newest").read_bytes() == pinned


def _metrics(kefu: Kefu) -> str:
    return str(kefu.get("/metrics")[1])
