"""The events of `log_scale`: what is appended is what is looked for later."""

from application.ports.event_store import NO_STREAM
from benchmarks._scale.messages import CHUNK_PAIRS, CONVERSATIONS, chunks, place


def test_every_event_is_at_the_place_that_is_looked_for() -> None:
    versions: dict[str, int] = {}
    position = 0
    for batches in chunks(0, 6 * CHUNK_PAIRS, 10):
        for append in (append for batch in batches for append in batch):
            position += 1
            version = versions[append.stream] = versions.get(append.stream, -1) + 1
            assert place(position) == (position, append.stream, version)
    assert position == 6 * CHUNK_PAIRS


def test_the_second_event_of_a_pair_begins_a_stream_with_a_name_of_44_characters() -> None:
    batches = [batch for chunk in chunks(0, 4 * CHUNK_PAIRS, 10) for batch in chunk]
    names = {batch[1].stream for batch in batches}
    assert len(names) == len(batches) == 2 * CHUNK_PAIRS
    assert {len(name) for name in names} == {44}
    assert {batch[1].expected_version for batch in batches} == {NO_STREAM}


def test_a_conversation_goes_on_when_all_have_had_an_event() -> None:
    first = place(1)
    again = place(2 * CONVERSATIONS + 1)
    assert (first.stream, first.version) == (again.stream, again.version - 1)


def test_appending_goes_on_in_the_middle_of_a_chunk() -> None:
    whole = [batch for chunk in chunks(0, 3000, 10) for batch in chunk]
    parts = [
        batch
        for after, upto in ((0, 700), (700, 3000))
        for c in chunks(after, upto, 10)
        for batch in c
    ]
    assert parts == whole
