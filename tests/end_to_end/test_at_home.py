"""Nothing calls out: the whole system works in a network namespace that has only loopback."""

import json
import subprocess
import sys
from pathlib import Path

from tests.tools import missing, require

SCRIPT = """
import json, pathlib, sys
from tests.serving import running
with running(pathlib.Path(sys.argv[1]) / "data", KEFU_LOG_LEVEL="info") as kefu:
    session = kefu.visitor(name="Loopback Lu")
    path = f"/api/v1/conversations/{session['conversation_id']}/messages"
    sent = kefu.post(path, {"content": "all at home"}, session["token"])
    headers = {"Kefu-Min-Position": str(sent["position"])}
    status, found = kefu.get(path, session["token"], headers=headers)
    interfaces = pathlib.Path("/proc/net/dev").read_text().splitlines()[2:]
    print(json.dumps({
        "status": status,
        "contents": [m["content"] for m in found["data"]],
        "interfaces": [line.split(":")[0].strip() for line in interfaces],
        "log": kefu.output(),
    }))
"""


def test_the_whole_system_runs_with_loopback_only(tmp_path: Path) -> None:
    unshare, ip = require("unshare"), require("ip")
    inside = f'{ip} link set lo up && exec {sys.executable} -c "$0" "$1"'
    command = [unshare, "--net", "--map-root-user", "sh", "-c", inside, SCRIPT, str(tmp_path)]
    probe = subprocess.run(
        [unshare, "--net", "--map-root-user", "true"], capture_output=True, check=False
    )
    if probe.returncode != 0:
        missing("network namespaces are not allowed here")
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    seen = json.loads(done.stdout.splitlines()[-1])
    assert (seen["status"], seen["contents"]) == (200, ["all at home"])
    assert "lo" in seen["interfaces"]
    assert not [name for name in seen["interfaces"] if name.startswith(("eth", "en", "wl"))]
    for line in seen["log"].splitlines():
        assert '"level": "error"' not in line, line
