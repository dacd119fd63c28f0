"""A `kefu sandbox` in a process of its own."""

import json
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple


class Provider(NamedTuple):
    """Where it listens, and its process."""

    url: str
    pid: int

    def request(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        """Ask it for something that only tests and benchmarks ask for."""
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, data, method=method)
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.loads(answer.read() or b"null")


@contextmanager
def provider(data_dir: Path) -> Iterator[Provider]:
    """Start it, stop it at the end."""
    command = [sys.executable, "-m", "interfaces.cli.main", "sandbox", "--port", "0"]
    with subprocess.Popen(
        [*command, "--data-dir", str(data_dir)], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as process:
        assert process.stdout is not None
        line = process.stdout.readline().decode()
        try:
            if "ready" not in line:
                raise RuntimeError(f"the sandbox said {line!r}")
            yield Provider(line.rpartition(" ")[2].strip(), process.pid)
        finally:
            process.terminate()
