"""When batches of the projector were written: a row a batch, for the trace of a message.

Not part of the views, since it can't be rebuilt from the log: a set of views that is built anew
has times of its own, and loses the old ones.
"""

from typing import Any, Final

import psycopg

KEPT: Final = 200_000
"""Batches of one set of views that are kept, some 20 MB."""
_PRUNE_EVERY: Final = 1_000

TABLE: Final = (
    "CREATE TABLE IF NOT EXISTS kefu.batches ("
    " number integer NOT NULL, position bigint NOT NULL, after bigint NOT NULL,"
    " committed_us bigint NOT NULL, PRIMARY KEY (number, position))"
)
"""`number` of the set of views; the batch holds the positions over `after` up to `position`."""

_NOTE: Final = (
    "INSERT INTO kefu.batches VALUES"
    " (%s, %s, %s, (extract(epoch FROM clock_timestamp()) * 1000000)::bigint)"
    " ON CONFLICT DO NOTHING"
)
_PRUNE: Final = (
    "DELETE FROM kefu.batches WHERE number = %(number)s AND position <= (SELECT position"
    " FROM kefu.batches WHERE number = %(number)s ORDER BY position DESC OFFSET %(kept)s LIMIT 1)"
)
PROJECTION_OF: Final = (
    "SELECT t.position,"
    " (SELECT b.committed_us FROM kefu.batches b WHERE b.number ="
    "  (SELECT number FROM kefu.schemas WHERE active) AND b.position >= %(position)s"
    "  AND b.after < %(position)s ORDER BY b.position LIMIT 1),"
    " (SELECT p.error FROM kefu.parked_events p WHERE p.position = %(position)s)"
    " FROM kefu.tracking t WHERE t.name = 'views'"
)


class KeptBatches:
    """Notes each batch in its own transaction; every thousandth time it drops the oldest."""

    def __init__(self, kept: int = KEPT, prune_every: int = _PRUNE_EVERY) -> None:
        self._kept = kept
        self._prune_every = prune_every
        self._noted = 0

    def note(
        self, connection: "psycopg.Connection[Any]", name: str, after: int, position: int
    ) -> None:
        """The views of this schema are about to hold what lies over `after` up to `position`."""
        number = int(name.rpartition("_")[2])
        connection.execute(_NOTE, (number, position, after))
        self._noted += 1
        if self._noted % self._prune_every == 0:
            connection.execute(_PRUNE, {"number": number, "kept": self._kept})
