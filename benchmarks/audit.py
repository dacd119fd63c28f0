"""The transparency log: how fast the tree is built from the log's files and verified, and what it
costs the writer when it is built beside it.

Events are those of commands: pairs that share their metadata, on a conversation and a new message,
encoded as the core does it, in clear or with the message's personal fields sealed. The slowdown is
measured in turns within one run, the builder being a process of its own that gives way, as the role
`audit` is.
"""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Any, Final, NamedTuple

from application import codec
from application.codec import Metadata
from application.ports.event_store import ANY_VERSION, NO_STREAM, StreamAppend
from application.sealing import Sealer
from benchmarks.report import hardware, parser, percentile, show
from domain.actors import ActorKind
from domain.conversation.events import MessageAccepted
from domain.message.events import Author, MessageSent
from infrastructure.eventlog.store import EventLog
from infrastructure.keys.master import FileSource
from infrastructure.keys.store import SubjectKeyStore
from infrastructure.transparency.builder import TreeBuilder
from infrastructure.transparency.files import AuditFiles, read_state, signer
from infrastructure.transparency.signed_note import Checkpoint, open_checkpoint
from infrastructure.transparency.verifying import verify

CONTENT_CHARS = 120
PAIRS_PER_CALL = 256
CONVERSATIONS = 1_000
ORIGIN = "bench.example/kefu"
_BUILDER = """
import sys
from pathlib import Path
from interfaces.workers.priority import give_way
from infrastructure.transparency.files import AuditFiles, signer
from infrastructure.transparency.follower import TreeFollower
give_way(19)
files = AuditFiles.under(Path(sys.argv[1]))
TreeFollower(files, signer(files, sys.argv[2]), 5.0).run(lambda: False)
"""


@contextmanager
def _tree(data: Path) -> Iterator[None]:
    command = [sys.executable, "-c", _BUILDER, str(data), ORIGIN]
    files = AuditFiles.under(data)
    with subprocess.Popen(command, start_new_session=True) as process:
        while read_state(files) is None:  # its imports are not what is measured
            time.sleep(0.01)
        yield
        process.kill()


def _plain(data: Path) -> AbstractContextManager[None]:
    return nullcontext()


class Mode(NamedTuple):
    """How events are written."""

    sealed: bool
    beside: Callable[[Path], AbstractContextManager[None]]
    """What runs meanwhile."""


MODES: Final = {
    "plain": Mode(False, _plain),
    "tree": Mode(False, _tree),
    "encrypted": Mode(True, _plain),
    "encrypted_tree": Mode(True, _tree),
}


class _Events:
    """Batches of a command's two events each.

    Args:
        sealer: Of contacts whose keys it knows by now, as a core at work does.
    """

    def __init__(self, sealer: Sealer) -> None:
        self._number = 0
        self._sealer = sealer
        for contact in range(CONVERSATIONS):
            sealer.keys.of_subject(_contact(contact))
        sealer.keys.save()

    def batches(self, pairs: int, *, sealed: bool = False) -> list[list[StreamAppend]]:
        found = []
        for _ in range(pairs):
            self._number += 1
            number = self._number
            contact = _contact(number % CONVERSATIONS)
            request = f"01936e6e-1111-7000-8000-{number:012d}"
            metadata = codec.encode_metadata(Metadata(ActorKind.VISITOR, contact, request))
            conversation = f"01936e6e-3333-7000-8000-{number % CONVERSATIONS:012d}"
            message = f"01936e6e-2222-7000-8000-{number:012d}"
            accepted = MessageAccepted(number, message, ActorKind.VISITOR, False)
            author = Author(ActorKind.VISITOR, contact, "李雷")
            sent = MessageSent(conversation, number, author, "x" * CONTENT_CHARS, False, request)
            stream = f"message-{message}"
            stored = (
                self._sealer.encode(sent, metadata, stream, 0, contact)
                if sealed
                else codec.encode(sent, metadata)
            )
            found.append(
                [
                    StreamAppend(
                        f"conversation-{conversation}",
                        ANY_VERSION,
                        [codec.encode(accepted, metadata)],
                    ),
                    StreamAppend(stream, NO_STREAM, [stored]),
                ]
            )
        return found


def _contact(number: int) -> str:
    return f"01936e6e-0000-7000-8000-{number:012d}"


@contextmanager
def _keys(folder: Path) -> Iterator[Sealer]:
    keys = SubjectKeyStore(folder / "keys", FileSource(folder / "keys" / "master.key"))
    try:
        yield Sealer(keys)
    finally:
        keys.close()


def _cpu() -> float:
    """Of this process and of its children that have ended, s."""
    return sum(os.times()[:4])


def _build(files: AuditFiles, processes: int) -> tuple[dict[str, Any], Checkpoint]:
    """Catch up over the whole log, as the role does."""
    signing = signer(files, ORIGIN)
    began_cpu = _cpu()
    builder = TreeBuilder(files, signing, processes)
    builder.open()
    began = time.perf_counter()
    while builder.advance():
        pass
    note = builder.checkpoint()
    elapsed = time.perf_counter() - began
    builder.close()
    cpu = _cpu() - began_cpu
    assert note is not None
    size = builder.stats.size
    result = {
        "leaves_per_s": round(size / elapsed),
        "leaves_per_cpu_s": round(size / cpu),
        "cpu_us_per_leaf": round(cpu / size * 1e6, 2),
    }
    return result, open_checkpoint(note, signing.verifier)


def _forget(files: AuditFiles) -> None:
    """The tree is as if it had never been built; its files stay until the end, because ext4 looks
    long for inodes just after thousands were deleted."""
    files.tree.rename(files.tree.with_name("audit-before"))
    files.persisted.unlink()


def _verify(files: AuditFiles, checkpoint: Checkpoint) -> dict[str, Any]:
    began, began_cpu = time.perf_counter(), time.process_time()
    report = verify(files, checkpoint, checkpoint)
    elapsed, cpu = time.perf_counter() - began, time.process_time() - began_cpu
    assert report.ok, report.findings[:3]
    return {
        "verify_events_per_s": round(report.events / elapsed),
        "verify_cpu_us_per_event": round(cpu / report.events * 1e6, 2),
    }


def _append(log: EventLog, events: _Events, seconds: float, *, sealed: bool) -> float:
    """Events a second, encoded and appended."""
    written, began = 0, time.perf_counter()
    while (elapsed := time.perf_counter() - began) < seconds:
        log.append_sync(events.batches(PAIRS_PER_CALL, sealed=sealed))
        written += 2 * PAIRS_PER_CALL
    return written / elapsed


def _slowdown(data: Path, events: _Events, seconds: float, rounds: int) -> dict[str, Any]:
    rates: dict[str, list[float]] = {mode: [] for mode in MODES}
    each = seconds / rounds / len(MODES)
    with EventLog.open(data / "log") as log:
        _append(log, events, 0.5, sealed=False)
        for _ in range(rounds):
            for name, mode in MODES.items():
                with mode.beside(data):
                    rates[name].append(_append(log, events, each, sealed=mode.sealed))
    medians = {mode: percentile(found, 0.5) for mode, found in rates.items()}
    return {
        "append_slowdown": round(medians["plain"] / medians["encrypted_tree"], 3),
        "append_slowdown_tree": round(medians["plain"] / medians["tree"], 3),
        "append_slowdown_encrypted": round(medians["plain"] / medians["encrypted"], 3),
        **{f"append_events_per_s_{mode}": round(rate) for mode, rate in medians.items()},
    }


def measure(
    folder: Path, events: int, seconds: float, rounds: int, processes: int
) -> dict[str, Any]:
    """All figures; `folder` is on the disk that is measured."""
    files = AuditFiles.under(folder / "built")
    with _keys(folder) as sealer:
        made = _Events(sealer)
        with EventLog.open(files.log) as log:
            while log.durable_position < events:
                log.append_sync(made.batches(1_000))
        slowdown = _slowdown(folder / "beside", made, seconds, rounds)
    alone, _ = _build(files, 1)
    _forget(files)
    built, checkpoint = _build(files, processes)
    return {
        **built,
        "processes": processes,
        **{f"{name}_alone": figure for name, figure in alone.items()},
        **slowdown,
        **_verify(files, checkpoint),
        "events": checkpoint.size,
        "content_chars": CONTENT_CHARS,
        "fsync_policy": "tiles before each checkpoint; the log before every acknowledgement",
        "hardware": hardware(),
    }


def main() -> None:
    """Measure and print."""
    options = parser(__doc__ or "", seconds=12.0)
    options.add_argument("--events", type=int, default=500_000, help="of the log that is built")
    options.add_argument(
        "--processes", type=int, default=2, help="that catch up together, as KEFU_AUDIT_PROCESSES"
    )
    options.add_argument("--rounds", type=int, default=4, help="turns of each mode")
    given = options.parse_args()
    sys.setswitchinterval(0.001)  # as the core process does
    with tempfile.TemporaryDirectory(prefix="kefu-bench-") as folder:
        result = measure(Path(folder), given.events, given.seconds, given.rounds, given.processes)
    show("audit", result, as_json=given.json)


if __name__ == "__main__":
    main()
