"""The first start, and what happens by itself afterwards."""

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

from tests.serving import Kefu, running, wait_until


def test_the_first_start_prints_a_one_time_password_once(tmp_path: Path) -> None:
    with running(tmp_path / "data", KEFU_ADMIN_PASSWORD="", KEFU_LOG_LEVEL="info") as kefu:
        ready = f"kefu ready: {kefu.url}/console"
        wait_until(lambda: ready in kefu.output(), 10, "kefu says that it is ready")
        output = kefu.output()
        (password,) = re.findall(r"^one-time password: +(\S+)$", output, re.M)
        assert output.count(password) == 1
        body = {"email": "admin@localhost", "password": password}
        answer = kefu.post("/api/v1/auth/login", body)
        assert (answer["must_change_password"], answer["agent"]["role"]) == (True, "admin")
        token = answer["token"]
        change = {"current": password, "new": "a password of my own"}
        assert kefu.request("POST", "/api/v1/auth/password", change, token)[0] == 204
        body["password"] = change["new"]
        assert not kefu.post("/api/v1/auth/login", body)["must_change_password"]
        kefu.stop()
        kefu.start()
        assert kefu.output().count("one-time password") == 1
        for path in (tmp_path / "data").rglob("*"):
            if path.is_file() and path.suffix in (".open", ".seg", ".log", ".mdb"):
                assert password.encode() not in path.read_bytes(), path


def test_a_snoozed_conversation_wakes_by_itself(kefu: Kefu) -> None:
    token, visitor = kefu.login(), kefu.visitor()
    base = f"/api/v1/conversations/{visitor['conversation_id']}"
    until = (datetime.now(UTC) + timedelta(seconds=1)).isoformat()
    body = {"status": "snoozed", "snoozed_until": until}
    assert kefu.post(base + "/toggle_status", body, token)["status"] == "snoozed"
    wait_until(lambda: kefu.get(base, token)[1].get("status") == "open", 20, "it is open again")
