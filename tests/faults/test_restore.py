"""A system that was lost is whole again from a backup that was taken while it ran."""

from pathlib import Path

import pytest

from tests.serving import Kefu, running, wait_until

pytestmark = pytest.mark.faults


def messages(kefu: Kefu, session: dict[str, str], position: int) -> list[str]:
    path = f"/api/v1/conversations/{session['conversation_id']}/messages"
    headers = {"Kefu-Min-Position": str(position)}
    answers: list[list[str]] = []

    def there() -> bool:
        status, body = kefu.get(path, session["token"], headers=headers, timeout=30)
        if status == 200:
            answers.append([row["content"] for row in body["data"]])
        return status == 200

    wait_until(there, 60, "the views are there")
    return answers[-1]


def test_a_restored_system_serves_what_was_there_and_goes_on(tmp_path: Path) -> None:
    saved = tmp_path / "saved"
    with running(tmp_path / "data", KEFU_SEGMENT_AGE_S="1") as kefu:
        session = kefu.visitor(name="Restored")
        path = f"/api/v1/conversations/{session['conversation_id']}/messages"
        for number in range(5):
            kept = kefu.post(path, {"content": f"kept {number}"}, session["token"])
        kefu.cli("log", "backup", str(saved))
        lost = kefu.post(path, {"content": "after the backup"}, session["token"])
        messages(kefu, session, lost["position"])
        refused = kefu.cli("log", "restore", str(saved), check=False)
        assert refused.returncode != 0
        assert "is served by process" in refused.stderr
        kefu.kill()  # leaves Postgres running, with views that are ahead of the backup
        (kefu.data_dir / "log").rename(tmp_path / "the-log-that-was-lost")
        kefu.cli("log", "restore", str(saved))
        kefu.start()
        wanted = [f"kept {number}" for number in range(5)]
        assert messages(kefu, session, kept["position"]) == wanted
        sent = kefu.post(path, {"content": "goes on"}, session["token"])
        assert sent["seq"] == 6
        assert messages(kefu, session, sent["position"]) == [*wanted, "goes on"]
        assert kefu.cli("log", "verify").returncode == 0
        aside = list(kefu.data_dir.glob("postgres.before-*"))
        assert len(aside) == 1


def test_damage_shows_in_metrics_and_readiness_and_stops_nothing(tmp_path: Path) -> None:
    data = tmp_path / "data"
    with running(data, KEFU_SEGMENT_AGE_S="1") as kefu:
        session, other = kefu.visitor(), kefu.visitor()
        path = f"/api/v1/conversations/{other['conversation_id']}/messages"
        old = kefu.post(path, {"content": "nobody reads this again"}, other["token"])
        messages(kefu, other, old["position"])

        mark = old["message_id"].encode()  # its content is sealed

        def sealed() -> list[Path]:
            return [p for p in (data / "log").glob("*.seg") if mark in p.read_bytes()]

        (victim,) = wait_until(sealed, 30, "its segment is sealed")
        path = f"/api/v1/conversations/{session['conversation_id']}/messages"
        kefu.post(path, {"content": "more"}, session["token"])
        kefu.stop()
        rotten = bytearray(victim.read_bytes())
        at = rotten.index(mark)
        rotten[at] ^= 1
        victim.chmod(0o600)
        victim.write_bytes(rotten)
        kefu.start()

        def findings() -> list[dict[str, object]]:
            status, body = kefu.get("/readyz")
            assert status == 200
            found: list[dict[str, object]] = body["scrub"]["findings"]
            return found

        (finding,) = wait_until(findings, 30, "the scrubber has found it")
        frame = rotten.rindex(b"KFRM", 0, at)
        assert (finding["segment"], finding["offset"]) == (victim.name, frame)
        assert finding["code"] == "log-corrupt-frame"
        _, metrics = kefu.get("/metrics")
        assert "kefu_scrub_findings 1.0" in metrics
        assert "kefu_scrub_segments_total" in metrics
        assert "log.damaged" in kefu.output()
        assert kefu.post(path, {"content": "goes on"}, session["token"])["seq"] > 0
        assert victim.read_bytes() == bytes(rotten)
        report = kefu.cli("log", "verify", check=False)
        assert report.returncode == 1
        assert f"{victim.name} at byte {frame}" in report.stdout
