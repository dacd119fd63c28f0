"""Which event of a damaged frame it is: a frame's checksum only says that one of them is."""

import struct
from collections.abc import Callable
from pathlib import Path

from application.ports.event_store import RecordedEvent
from infrastructure.eventlog import format
from infrastructure.eventlog.format import InvalidBytes
from infrastructure.eventlog.salvage import Finding
from infrastructure.eventlog.segment import current_path
from infrastructure.transparency import leaves, tree


def damaged_position(log: Path, damage: Finding, expected: Callable[[int], bytes | None]) -> int:
    """Position of the first event in a damaged frame that is not the one in the tree; that of the
    damage as it was found if no event differs (the frame's own header), or if that is not known.

    Args:
        log: Directory of the log.
        damage: What is wrong with the log.
        expected: Leaf hash of a position's event; None: not known.
    """
    if damage.code != "log-corrupt-frame":
        return damage.position
    position = damage.position
    try:
        with current_path(log / damage.segment).open("rb") as file:
            file.seek(damage.offset)
            data = file.read(format.FRAME_HEADER_BYTES)
            header = format.decode_frame_header(data, 0)
            data += file.read(header.length - len(data))
        at = format.FRAME_HEADER_BYTES
        for position in range(damage.position, damage.position + header.events):
            payload, version, stream, type, metadata = format.unpack_record_header(data, at)
            names = at + format.RECORD_HEADER_BYTES
            metadata_at = names + stream + type
            payload_at = metadata_at + metadata
            at = payload_at + payload
            event = RecordedEvent(
                position,
                data[names : names + stream].decode(),
                version,
                data[names + stream : metadata_at].decode(),
                header.timestamp_us,
                data[metadata_at:payload_at],
                data[payload_at:at],
            )
            known = expected(position)
            if known is None:
                return damage.position
            if at > len(data) or tree.leaf_hash(leaves.encode(leaves.leaf_of(event))) != known:
                return position
    except (OSError, InvalidBytes):
        return damage.position
    except (struct.error, UnicodeDecodeError):
        return position  # its record's header or names
    return damage.position
