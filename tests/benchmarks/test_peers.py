"""How peers are measured; no server is started here."""

from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import ClassVar, Self

from benchmarks._peers import PEERS
from benchmarks._peers.peer import Load, Sample, Unavailable, measure


class _MissingPeer:
    name: ClassVar[str] = "missing"
    loads: ClassVar[Sequence[Load]] = [Load(1)]
    fsync_policy: ClassVar[str] = "none"

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def __enter__(self) -> Self:
        raise Unavailable("it is not installed")

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None: ...

    def version(self) -> str:
        return "1"

    def run(self, load: Load, event_bytes: int, seconds: float) -> Sample:
        raise AssertionError("a peer that is missing is not run")


class _BatchLovingPeer(_MissingPeer):
    """Takes a second for every batch, whatever its size."""

    loads: ClassVar[Sequence[Load]] = [Load(1), Load(100), Load(10)]

    def __enter__(self) -> Self:
        return self

    def run(self, load: Load, event_bytes: int, seconds: float) -> Sample:
        return Sample(load.batch, 1.0, [0.5])


def test_a_peer_that_is_missing_has_no_figure_but_a_reason(tmp_path: Path) -> None:
    found = measure(_MissingPeer, tmp_path, 256, 1.0)
    assert found == {"events_per_s": None, "reason": "it is not installed"}


def test_a_peer_is_measured_at_its_best_batch_size(tmp_path: Path) -> None:
    found = measure(_BatchLovingPeer, tmp_path, 256, 1.0)
    assert found["best_batch"] == 100
    assert found["events_per_s"] == 100
    assert [trial["batch"] for trial in found["trials"]] == [1, 100, 10]


def test_the_peers_are_those_of_the_results() -> None:
    assert [peer.name for peer in PEERS] == [
        "nats_jetstream",
        "redis_streams",
        "eventsourcing_sqlite",
        "eventsourcing_postgres",
    ]
