"""Go's reference implementation (x/mod/sumdb) takes our checkpoints, proofs and tiles."""

import base64
import json
import os
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from infrastructure.transparency import receipt
from infrastructure.transparency import tree as merkle
from infrastructure.transparency.files import signed_checkpoint
from infrastructure.transparency.proving import prove
from infrastructure.transparency.tiles import TileReader
from tests.infrastructure.transparency.conftest import Tree
from tests.tools import missing, require

PROGRAM = Path(__file__).parent / "go" / "verify.go"
GOPATH = Path("/usr/share/gocode")
"""Where Debian's golang-golang-x-mod-dev puts its sources."""


def b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    go = require("go")
    if not (GOPATH / "src/golang.org/x/mod/sumdb/tlog").is_dir():
        missing("golang-golang-x-mod-dev is not installed")
    folder = tmp_path_factory.mktemp("go")
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(folder),
        "GOCACHE": os.environ.get("GOCACHE", str(folder / "cache")),
        "GOPATH": str(GOPATH),
        "GO111MODULE": "off",
        "GOFLAGS": "",
        "GOPROXY": "off",
        "CGO_ENABLED": "0",
    }
    target = folder / "verify"
    command = [go, "build", "-o", str(target), str(PROGRAM)]
    built = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stderr
    return target


def run(program: Path, given: dict[str, Any]) -> tuple[int, str]:
    done = subprocess.run(
        [str(program)], input=json.dumps(given), capture_output=True, text=True, check=False
    )
    return done.returncode, done.stdout + done.stderr


def collect(made: Tree, counts: Sequence[int]) -> dict[str, Any]:
    notes, sizes = [], []
    for count in counts:
        made.append(count)
        sizes.append(made.build().size)
        notes.append(signed_checkpoint(made.files) or b"")
    size = sizes[-1]
    tiles = TileReader(made.files.tree, size)
    proofs = [merkle.consistency_proof(old, size, tiles.node) for old in sizes]
    verifier = made.signer.verifier
    receipts = []
    for position in {1, 2, size // 2, 256, 257, size - 1, size} & set(range(1, size + 1)):
        found = receipt.decode(prove(made.files, verifier, position))
        proof = [b64(one) for one in found.proof]
        receipts.append({"Index": found.number, "Leaf": b64(found.leaf), "Proof": proof})
    return {
        "Vkey": verifier.vkey,
        "Notes": [b64(note) for note in notes],
        "Consistency": [[b64(one) for one in proof] for proof in proofs],
        "Receipts": receipts,
        "Directory": str(made.files.tree),
    }


@pytest.mark.parametrize(
    "counts", [[1], [1, 1, 1], [7, 248, 1, 1, 255, 300], [256, 256], [500, 65_300, 300]]
)
def test_go_takes_checkpoints_proofs_and_tiles(
    tree: Tree, program: Path, counts: list[int]
) -> None:
    status, said = run(program, collect(tree, counts))
    assert status == 0, said
    assert said.startswith(f"{len(counts)} checkpoints, ")
    assert said.endswith(f"tree of {sum(counts)}\n")


def test_go_refuses_what_was_changed(tree: Tree, program: Path) -> None:
    given = collect(tree, [300, 400])
    note = base64.b64decode(given["Notes"][1])
    forged = {**given, "Notes": [given["Notes"][0], b64(note.replace(b"\n700\n", b"\n699\n"))]}
    assert run(program, forged)[1].startswith("note.Open")
    other = {**given["Receipts"][0], "Index": given["Receipts"][0]["Index"] + 1}
    assert run(program, {**given, "Receipts": [other]})[1].startswith("tlog.CheckRecord")
    assert run(program, {**given, "Consistency": [[], []]})[1].startswith("tlog.CheckTree")
    tile = tree.files.tree / "tile/0/001"
    tile.write_bytes(bytes([tile.read_bytes()[0] ^ 1]) + tile.read_bytes()[1:])
    assert run(program, given)[0] == 1
