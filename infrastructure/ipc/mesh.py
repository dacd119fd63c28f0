"""As `LiveBus`, between the processes of one machine: each is connected to each other.

A process listens on `live-ID.sock` in the directory of sockets and connects to every socket that
is there already. What is published goes to all peers, which drop what they have no subscriber for:
telling peers which of a million conversations one follows would cost more memory and traffic than
the few passing things do (ADR 0014).

A frame is a length (u32, of what follows), a kind (u8) and a body:

    0  hello   the sender's id
    1  publish length of the topic (u16), topic, payload
    2  ask     number of the question (u32), a JSON list of subjects
    3  answer  number of the question (u32), a JSON list of counts in the question's order
"""

import asyncio
import struct
from collections.abc import Collection
from pathlib import Path
from typing import Final
from uuid import uuid4

import msgspec
import structlog

from application.local_bus import SubjectCounts
from application.ports.live_bus import MAX_PAYLOAD_BYTES, LiveBusReceiver, LiveBusStats
from infrastructure.ipc import mesh_link
from infrastructure.ipc.mesh_link import MeshLink

_log = structlog.get_logger(__name__)

_PREFIX: Final = "live-"
_TOPIC_LENGTH: Final = struct.Struct("!H")
_NUMBER: Final = struct.Struct("!I")
_ANSWER_S: Final = 1.0
_LOOK_S: Final = 5.0
"""How often it is looked for peers that are not connected."""


class MeshBus:
    """One of several gateway processes of a machine."""

    def __init__(self, directory: Path) -> None:
        """
        Args:
            directory: Of sockets, this user's alone; its path leaves room for `live-ID.sock`,
                22 characters.
        """
        self.stats = LiveBusStats()
        self._id = uuid4().hex[:12]
        self._directory = directory
        self._path = directory / f"{_PREFIX}{self._id}.sock"
        self._subjects = SubjectCounts()
        self.arrived = self._subjects.arrived
        self.left = self._subjects.left
        self.here = self._subjects.here
        self._topics: set[str] = set()
        self._links: set[MeshLink] = set()
        self._peers: dict[str, MeshLink] = {}
        """One link to each; two that start together may have two."""
        self._questions: dict[int, asyncio.Future[list[int]]] = {}
        self._number = 0
        self._receiver: LiveBusReceiver | None = None
        self._server: asyncio.Server | None = None
        self._looking: asyncio.Task[None] | None = None

    async def open(self, receiver: LiveBusReceiver) -> None:
        """As `LiveBus.open`.

        Raises:
            OSError: the directory is not there or the socket's path is too long.
        """
        self._receiver = receiver
        self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        loop = asyncio.get_running_loop()
        # Under its name once it listens: one that refuses is taken for a killed process's.
        unnamed = self._path.with_suffix(".new")
        self._server = await loop.create_unix_server(self._link, str(unnamed))
        unnamed.chmod(0o600)
        unnamed.rename(self._path)
        await self._connect_to_all()
        self._looking = asyncio.create_task(self._look_forever())

    async def close(self) -> None:
        """As `LiveBus.close`."""
        if self._looking is not None:
            self._looking.cancel()
            await asyncio.gather(self._looking, return_exceptions=True)
        if self._server is not None:
            self._server.close()
        self._path.unlink(missing_ok=True)
        for link in list(self._links):
            link.close()

    def publish(self, topic: str, payload: bytes) -> None:
        """As `LiveBus.publish`."""
        if not self._peers:
            return
        if len(payload) > MAX_PAYLOAD_BYTES:
            self.stats.dropped += 1
            return
        name = topic.encode()
        body = b"".join((_TOPIC_LENGTH.pack(len(name)), name, payload))
        for link in self._peers.values():
            if link.send(mesh_link.PUBLISH, body):
                self.stats.published += 1
            else:
                self.stats.dropped += 1

    def subscribe(self, topic: str) -> None:
        """As `LiveBus.subscribe`."""
        self._topics.add(topic)

    def unsubscribe(self, topic: str) -> None:
        """As `LiveBus.unsubscribe`."""
        self._topics.discard(topic)

    async def online(self, subject_ids: Collection[str]) -> dict[str, int]:
        """As `LiveBus.online`: every peer is asked; one that does not answer counts as none."""
        ids = list(subject_ids)
        body = msgspec.json.encode(ids)
        questions = [self._ask(link, body) for link in self._peers.values()]
        totals = [self._subjects.here(id) for id in ids]
        for counts in await asyncio.gather(*questions):
            if len(counts) == len(totals):
                totals = [total + count for total, count in zip(totals, counts, strict=True)]
        return dict(zip(ids, totals, strict=True))

    async def _ask(self, link: MeshLink, body: bytes) -> list[int]:
        self._number = (self._number + 1) & 0xFFFFFFFF
        number = self._number
        answer: asyncio.Future[list[int]] = asyncio.get_running_loop().create_future()
        self._questions[number] = answer
        link.asked.add(number)
        try:
            if not link.send(mesh_link.ASK, _NUMBER.pack(number) + body):
                return []
            async with asyncio.timeout(_ANSWER_S):
                return await answer
        except TimeoutError:
            return []
        finally:
            link.asked.discard(number)
            self._questions.pop(number, None)

    # What links say.

    def joined(self, link: MeshLink) -> None:
        """A link is there."""
        self._links.add(link)
        link.send(mesh_link.HELLO, self._id.encode())

    def lost(self, link: MeshLink) -> None:
        """A link has gone, and with it what it was asked."""
        self._links.discard(link)
        for number in link.asked:
            waiting = self._questions.get(number)
            if waiting is not None and not waiting.done():
                waiting.set_result([])
        self._count_peers()

    def took(self, link: MeshLink, kind: int, body: memoryview) -> None:
        """A frame of a link."""
        match kind:
            case mesh_link.HELLO:
                link.peer = bytes(body).decode()
                self._count_peers()
            case mesh_link.PUBLISH:
                end = _TOPIC_LENGTH.size + _TOPIC_LENGTH.unpack_from(body)[0]
                topic = bytes(body[_TOPIC_LENGTH.size : end]).decode()
                if topic in self._topics and self._receiver is not None:
                    self.stats.received += 1
                    self._receiver.received(topic, bytes(body[end:]))
            case mesh_link.ASK:
                subjects = msgspec.json.decode(body[_NUMBER.size :], type=list[str])
                counts = [self._subjects.here(id) for id in subjects]
                link.send(
                    mesh_link.ANSWER, bytes(body[: _NUMBER.size]) + msgspec.json.encode(counts)
                )
            case mesh_link.ANSWER:
                waiting = self._questions.get(_NUMBER.unpack_from(body)[0])
                if waiting is not None and not waiting.done():
                    counts = msgspec.json.decode(body[_NUMBER.size :], type=list[int])
                    waiting.set_result(counts)

    def _count_peers(self) -> None:
        self._peers = {link.peer: link for link in self._links if link.peer}
        self.stats.peers = self.stats.connected = len(self._peers)

    # Peers.

    def _link(self) -> MeshLink:
        return MeshLink(self)

    async def _look_forever(self) -> None:
        while True:
            await asyncio.sleep(_LOOK_S)
            await self._connect_to_all()

    async def _connect_to_all(self) -> None:
        known = {self._id, *self._peers}
        for path in sorted(self._directory.glob(f"{_PREFIX}*.sock")):
            if path.stem.removeprefix(_PREFIX) not in known:
                await self._connect(path)

    async def _connect(self, path: Path) -> None:
        try:
            await asyncio.get_running_loop().create_unix_connection(self._link, str(path))
        except (ConnectionRefusedError, FileNotFoundError):
            _remove(path)  # of a process that was killed
        except OSError as error:
            _log.warning("live_bus.peer_unreachable", path=str(path), error=str(error))


def _remove(path: Path) -> None:
    path.unlink(missing_ok=True)
