"""At a start: destroying again keys of erased subjects that a backup or a crash brought back, and
noticing that the keys are lost.
"""

from typing import Final

from application.ports.event_store import EventFeed, EventStore
from application.sealing import Opener
from domain.contact.events import SubjectErased
from domain.errors import InvalidInput
from domain.events import stored_name
from infrastructure.keys.store import SubjectKeyStore

_PAGE: Final = 1_000
_ERASED: Final = (stored_name(SubjectErased),)


class KeysLost(InvalidInput):
    """The log holds sealed events, and there is not one key."""

    code = "keys-lost"

    def __init__(self) -> None:
        super().__init__(
            "The log holds sealed events and there are no keys of data subjects: put the backup of"
            " the directory `keys` back, and start again."
        )


def require_keys(store: EventStore, keys: SubjectKeyStore) -> None:
    """Refuse a log whose keys are missing, as after a restore of the log alone.

    Raises:
        KeysLost: there is no key, and one of the log's first or last 1,000 events is sealed.
    """
    if not keys.empty:
        return
    looked_at = store.read(0, _PAGE) + store.read(max(0, store.durable_position - _PAGE), _PAGE)
    if any(b'"keyId":"' in recorded.metadata for recorded in looked_at):
        raise KeysLost


def destroy_erased(feed: EventFeed, keys: SubjectKeyStore) -> int:
    """Destroy the keys of all subjects whose erasure is in the log; blocks.

    Begins where it ended the last time: that place is kept beside the keys, so a restored backup
    of them has an older one. A log that is shorter than that is another one, and read whole.

    Returns:
        How many keys were still there.
    """
    end = feed.durable_position()
    at = keys.checked_position
    if at > end:
        at = 0
    found = 0
    opener = Opener(keys)
    while at < end:
        events, at = feed.read_matching(at, _PAGE, _ERASED)
        for recorded in events:
            subject = recorded.stream.partition("-")[2]
            event = opener.decode(recorded)
            assert isinstance(event, SubjectErased)
            if not keys.is_destroyed(subject):
                keys.destroy(subject)
                found += 1
    keys.checked(end)
    return found
