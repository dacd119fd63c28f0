"""Time stamps, by an authority that openssl plays."""

import subprocess
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from domain.errors import Unavailable
from infrastructure.transparency.timestamping import to_authority
from tests.tools import require

CONFIG = """
[tsa]
default_tsa = tsa1
[tsa1]
serial = {folder}/serial
signer_cert = {folder}/tsa.pem
signer_key = {folder}/tsa.key
certs = {folder}/tsa.pem
signer_digest = sha256
default_policy = 1.2.3.4.1
digests = sha256
ess_cert_id_alg = sha256
[req]
distinguished_name = dn
x509_extensions = ext
prompt = no
[dn]
CN = test authority
[ext]
extendedKeyUsage = critical,timeStamping
basicConstraints = CA:false
"""
NOTE = "log.example/kefu\n1\nAAAA\n\n— log.example/kefu BBBB\n".encode()


class Authority:
    """Answers with `openssl ts`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.asked = 0
        self.stale: bytes | None = None
        """An answer that is given to every question."""
        (folder / "openssl.cnf").write_text(CONFIG.format(folder=folder))
        (folder / "serial").write_text("01\n")
        self._run("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-config",
                  "openssl.cnf", "-keyout", "tsa.key", "-out", "tsa.pem")  # fmt: skip

    def answer(self, query: bytes) -> bytes:
        self.asked += 1
        (self.folder / "query").write_bytes(query)
        self._run("ts", "-reply", "-config", "openssl.cnf", "-queryfile", "query", "-out", "reply")
        return self.stale or (self.folder / "reply").read_bytes()

    def _run(self, *arguments: str) -> None:
        command = [require("openssl"), *arguments]
        subprocess.run(command, cwd=self.folder, check=True, capture_output=True)


@pytest.fixture
def authority(tmp_path: Path) -> Iterator[tuple[str, Authority]]:
    folder = tmp_path / "tsa"
    folder.mkdir()
    made = Authority(folder)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            assert self.headers["Content-Type"] == "application/timestamp-query"
            data = made.answer(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(200)
            self.send_header("Content-Type", "application/timestamp-reply")
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *arguments: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    Thread(target=server.serve_forever).start()
    yield f"http://127.0.0.1:{server.server_port}/", made
    server.shutdown()
    server.server_close()


def test_openssl_verifies_the_stamp_of_a_checkpoint(
    authority: tuple[str, Authority], tmp_path: Path
) -> None:
    url, made = authority
    deliver = to_authority(url, tmp_path / "timestamps")
    deliver(NOTE, 1)
    deliver(NOTE, 1)
    assert made.asked == 1
    name = tmp_path / "timestamps" / f"{1:020d}"
    assert name.with_suffix(".checkpoint").read_bytes() == NOTE
    command = [
        *(require("openssl"), "ts", "-verify", "-in", str(name.with_suffix(".tsr"))),
        *("-data", str(name.with_suffix(".checkpoint"))),
        *("-CAfile", str(made.folder / "tsa.pem")),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert "Verification: OK" in done.stdout, done.stderr
    name.with_suffix(".checkpoint").write_bytes(NOTE + b"x")
    assert subprocess.run(command, capture_output=True, check=False).returncode != 0


def test_an_answer_to_another_question_is_refused(
    authority: tuple[str, Authority], tmp_path: Path
) -> None:
    url, made = authority
    to_authority(url, tmp_path / "first")(NOTE, 1)
    made.stale = (tmp_path / "first" / f"{1:020d}.tsr").read_bytes()
    for note in (NOTE, NOTE + b"x"):
        with pytest.raises(Unavailable, match="another question"):
            to_authority(url, tmp_path / "second")(note, 2)
    assert not (tmp_path / "second").exists()
