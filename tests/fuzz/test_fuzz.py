"""The fuzz targets over what once failed and a fixed number of new inputs. `make fuzz` goes on."""

import os
import resource
import struct
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tests.fuzz import websocket
from tests.fuzz.segments import Target

pytestmark = pytest.mark.faults

CORPUS = Path(__file__).parent / "corpus"
TIMES = 10 if os.environ.get("KEFU_SOAK") == "1" else 1
MOST_BYTES = 200 * 1024 * 1024
"""More memory than this a few kilobytes of input must not take: a frame has at most 64 MiB."""

fixed = settings(
    deadline=None,
    derandomize=True,
    database=None,
    phases=[Phase.generate, Phase.shrink],
    suppress_health_check=list(HealthCheck),
)


@pytest.fixture(scope="module")
def target() -> Iterator[Target]:
    target = Target()
    yield target
    target.close()


def memory() -> int:
    """The most that this process ever had, in bytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


numbers = st.one_of(
    st.integers(0, 2**32 - 1).map(lambda n: struct.pack("<I", n)),
    st.integers(0, 2**64 - 1).map(lambda n: struct.pack("<Q", n)),
    st.sampled_from([b"KFRM", b"KFTR", b"KEFUEND\0", b"\0" * 16, b"\xff" * 8]),
    st.binary(max_size=20),
)
steps = st.tuples(st.integers(0, 26), st.integers(0, 1_500), st.integers(0, 30), numbers).map(
    lambda step: struct.pack("<BHB", *step[:3]) + step[3]
)
repairs = st.sampled_from([b"", bytes([21, 0, 0, 0, 22, 0, 0, 0, 23, 0, 0, 0])])
programs = st.tuples(
    st.integers(0, 7).map(lambda n: bytes([n])), st.lists(steps, max_size=5), repairs
)


@settings(fixed, max_examples=250 * TIMES)
@given(program=programs)
def test_damaged_and_made_up_segments_give_documented_errors_only(
    target: Target, program: tuple[bytes, list[bytes], bytes]
) -> None:
    before = memory()
    mode, changes, repair = program
    target.check(mode + b"".join(changes) + repair)
    assert memory() - before < MOST_BYTES


def frame(first: int, payload: bytes, mask: bytes, length_form: int) -> bytes:
    """A frame that may break any rule."""
    size = len(payload)
    if length_form == 2 or size > 0xFFFF:
        header = struct.pack("!BBQ", first, 0x80 | 127, size)
    elif length_form == 1 or size > 125:
        header = struct.pack("!BBH", first, 0x80 | 126, size)
    else:
        header = bytes((first, 0x80 | size))
    return header + mask + bytes(b ^ mask[n % 4] for n, b in enumerate(payload))


payloads = st.one_of(
    st.text(max_size=20).map(str.encode),
    st.binary(max_size=130),
    st.integers(0, 5_000).map(lambda n: b"x" * n),
    st.tuples(st.integers(0, 65_535), st.text(max_size=10)).map(
        lambda close: struct.pack("!H", close[0]) + close[1].encode()
    ),
)
firsts = st.one_of(
    st.sampled_from([0x81, 0x01, 0x80, 0x00, 0x82, 0x02, 0x88, 0x89, 0x8A]), st.integers(0, 255)
)
forms = st.sampled_from([0, 0, 0, 0, 1, 2])
frames = st.builds(frame, firsts, payloads, st.binary(min_size=4, max_size=4), forms)
streams = st.lists(st.one_of(frames, frames, frames, st.binary(max_size=20)), max_size=8)


@settings(fixed, max_examples=500 * TIMES)
@given(cuts=st.integers(0, 255), stream=streams)
def test_any_bytes_in_any_pieces_are_read_as_the_websockets_library_reads_them(
    cuts: int, stream: list[bytes]
) -> None:
    websocket.check(bytes([cuts]) + b"".join(stream))


@pytest.mark.parametrize("path", sorted(CORPUS.glob("segment/*")), ids=lambda path: path.name)
def test_a_segment_that_once_failed_does_not_fail_again(target: Target, path: Path) -> None:
    target.check(path.read_bytes())


@pytest.mark.parametrize("path", sorted(CORPUS.glob("websocket/*")), ids=lambda path: path.name)
def test_frames_that_once_failed_do_not_fail_again(path: Path) -> None:
    websocket.check(path.read_bytes())
