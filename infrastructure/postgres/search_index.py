"""Merging new lexemes into the index of messages' texts, beside the projector's transactions.

A GIN index takes new entries into a pending list, which every search reads from end to end, and
merges them when the list is full: inside the transaction of whoever fills it. That is most of the
work of projecting a message, so a second connection does it while the projector goes on, and long
before the list is full (knowledge: https://www.postgresql.org/docs/current/gin.html#GIN-FAST-UPDATE).
"""

from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import Final

import psycopg

PENDING_LIST_LIMIT: Final = "32MB"
"""For the projector's own connection: it merges only if a batch is huge."""
_MERGE_BYTES: Final = 1 << 20
"""Of vectors since the last merge: about 2.5 MB of the list, whose default limit is 4 MB."""
_MERGE: Final = b"SELECT gin_clean_pending_list('messages_search_idx')"


class SearchIndexMerger:
    """One merge at a time, in a thread that does nothing but wait for Postgres."""

    def __init__(self, url: str, connect_timeout_s: int) -> None:
        self._url = url
        self._connect_timeout_s = connect_timeout_s
        self._thread: ThreadPoolExecutor | None = None
        self._merge: Future[None] | None = None
        self._bytes = 0

    def check(self) -> None:
        """Raise what the last merge failed with, once; the entries are still in the list."""
        if self._merge is not None and self._merge.done():
            merge, self._merge = self._merge, None
            merge.result()

    def wrote(self, schema: str, vector_bytes: int) -> None:
        """Tell of a committed batch; begins a merge when there is enough.

        Waits for the merge before, so that the list can't outgrow two batches.
        """
        self._bytes += vector_bytes
        if self._bytes < _MERGE_BYTES:
            return
        self.wait()
        if self._merge is not None and self._merge.exception() is not None:
            return  # the next `check` raises it
        if self._thread is None:
            self._thread = ThreadPoolExecutor(1, "search-index")
        self._bytes = 0
        self._merge = self._thread.submit(self._run, schema)

    def wait(self) -> None:
        """Return when no merge is running, whatever became of the last."""
        if self._merge is not None:
            wait((self._merge,))

    def close(self) -> None:
        """Wait for the merge that is running."""
        if self._thread is not None:
            self._thread.shutdown()
        self._thread = self._merge = None

    def _run(self, schema: str) -> None:
        with psycopg.connect(
            self._url,
            autocommit=True,
            connect_timeout=self._connect_timeout_s,
            options=f"-c search_path={schema} -c synchronous_commit=off",
        ) as connection:
            connection.execute(_MERGE)
