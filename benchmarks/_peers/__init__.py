"""Other event logs, each on disk before it acknowledges, measured beside ours."""

from benchmarks._peers.nats import JetStreamPeer
from benchmarks._peers.peer import Peer, measure
from benchmarks._peers.postgres import PostgresRecorderPeer
from benchmarks._peers.redis import RedisStreamsPeer
from benchmarks._peers.sqlite import SQLiteRecorderPeer

__all__ = ["PEERS", "measure"]

PEERS: tuple[type[Peer], ...] = (
    JetStreamPeer,
    RedisStreamsPeer,
    SQLiteRecorderPeer,
    PostgresRecorderPeer,
)
"""In the order in which they are measured."""
