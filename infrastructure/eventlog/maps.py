"""The maps of a log's sealed segments: reading them, and making those that are missing."""

import threading
import time
from pathlib import Path
from typing import Final

from infrastructure.eventlog import format
from infrastructure.eventlog.errors import CorruptFrame, CorruptLog
from infrastructure.eventlog.frames import BadFrame, walk
from infrastructure.eventlog.sealing import replace_file
from infrastructure.eventlog.segment import list_segments, read_footer, read_header
from infrastructure.eventlog.segment_map import BadMap, MapBuilder, SegmentMap

MAPS_DIRECTORY: Final = "maps"
_SUFFIX: Final = ".map"
_MAX_KEPT: Final = 64
"""Decoded maps of one reader: some 8 MB."""
_REST: Final = 1.0
"""Time that is left to others for each time of work."""
_RETRY_S: Final = 10.0


class SegmentMaps:
    """Maps as one reader sees them; each is checked once."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._kept: dict[int, SegmentMap] = {}

    def get(self, base_position: int, uuid: bytes, content_end: int) -> SegmentMap | None:
        """The map of a sealed segment; None: there is none (yet), or it can't be used."""
        found = self._kept.get(base_position)
        if found is None:
            found = read_map(self._directory, base_position, uuid, content_end)
            if found is None:
                return None
            while len(self._kept) >= _MAX_KEPT:
                del self._kept[next(iter(self._kept))]
            self._kept[base_position] = found
        return found


def read_map(
    directory: Path, base_position: int, uuid: bytes, content_end: int
) -> SegmentMap | None:
    """As `SegmentMaps.get`, from the file."""
    try:
        return SegmentMap(map_path(directory, base_position).read_bytes(), uuid, content_end)
    except (OSError, BadMap):
        return None


def map_path(directory: Path, base_position: int) -> Path:
    """Of a segment's map, in a log's directory."""
    return directory / MAPS_DIRECTORY / f"{base_position:020d}{_SUFFIX}"


class MapKeeper:
    """Writes maps in a thread of its own: of segments that were sealed just now, and of all that
    have none. It works half of the time at most: nobody waits for it.
    """

    def __init__(self, directory: Path) -> None:
        self.failure: str | None = None
        """Why the last map could not be made; it is tried again every ten seconds."""
        self._directory = directory
        self._lock = threading.Lock()
        self._due: dict[Path, MapBuilder | None] = {}
        self._wake = threading.Event()
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="log-mapper", daemon=True)
        self._thread.start()

    @property
    def missing(self) -> int:
        """Sealed segments in this directory whose map is still to be made."""
        return len(self._due)

    def sealed(self, path: Path, frames: MapBuilder | None) -> None:
        """A segment was sealed.

        Args:
            path: Of the sealed segment.
            frames: All its frames; None: they must be read.
        """
        with self._lock:
            self._due[path] = frames
        self._wake.set()

    def close(self) -> None:
        """Stop; what is missing is made at the next start."""
        self._closing.set()
        self._wake.set()
        self._thread.join()

    def _run(self) -> None:
        for segment in list_segments(self._directory):
            if self._closing.is_set():
                return
            if segment.sealed and not segment.remote and not self._is_there(segment.path):
                self.sealed(segment.path, None)
        while not self._closing.is_set():
            self._wake.clear()
            self._make_all()
            self._wake.wait(_RETRY_S if self._due else None)

    def _is_there(self, path: Path) -> bool:
        try:
            uuid, end = read_header(path).uuid, read_footer(path).content_end
        except (OSError, CorruptLog):
            return False  # making it will say why
        return read_map(self._directory, int(path.stem), uuid, end) is not None

    def _make_all(self) -> None:
        with self._lock:
            due = list(self._due.items())
        failure = None
        for path, frames in due:
            try:
                self._make(path, frames)
            except FileNotFoundError:
                pass  # archived and deleted meanwhile
            except (OSError, CorruptLog) as error:
                failure = f"{path.name}: {type(error).__name__}: {error}"
                continue
            if self._closing.is_set():
                return
            with self._lock:
                del self._due[path]
        self.failure = failure

    def _make(self, path: Path, frames: MapBuilder | None) -> None:
        uuid, footer = read_header(path).uuid, read_footer(path)
        frames = frames or self._read(path, uuid, footer.content_end)
        if frames is None:
            return
        target = map_path(self._directory, int(path.stem))
        target.parent.mkdir(mode=0o700, exist_ok=True)
        replace_file(target, frames.encode(uuid, footer.content_end, footer.last_position + 1))

    def _read(self, path: Path, uuid: bytes, end: int) -> MapBuilder | None:
        """All frames of a segment; None: the log is closing."""
        builder = MapBuilder()
        seed, base = format.frame_seed(uuid), int(path.stem)
        with path.open("rb") as file:
            try:
                began = time.thread_time()
                for frame in walk(file.fileno(), seed, format.SEGMENT_HEADER_BYTES, end, base):
                    builder.add_frame(frame)
                    if self._closing.wait(_REST * (time.thread_time() - began)):
                        return None
                    began = time.thread_time()
            except BadFrame as bad:
                raise CorruptFrame(path, bad.offset, bad.next_position, bad.reason) from bad
        return builder
