"""Who is online, for agents who follow a conversation. Nothing of it is in the log.

A conversation's visitor is online while any gateway holds a connection of it. Changes are told over
the bus on the conversation's topic; what a lost telling or a killed gateway left wrong is put right
by asking again every `RECHECK_S` about those who are watched here.
"""

import asyncio
from collections.abc import Iterable
from typing import Final

from application.ports.live_bus import LiveBus
from domain.actors import Actor, ActorKind
from interfaces.gateway import frames
from interfaces.gateway.subscription import Subscription

RECHECK_S: Final = 10.0
SWEEP_S: Final = 1.0
"""Who leaves and is back within one to two of these, as by a reload of the page, was not away."""
_ASK: Final = 1_000
ONLINE: Final = b"+"
"""Payload of the bus: the conversation's visitor has come."""
OFFLINE: Final = b"-"


class _Watched:
    """A conversation that an agent here follows."""

    __slots__ = ("contact_id", "online", "subscriptions")

    def __init__(self, contact_id: str) -> None:
        self.contact_id = contact_id
        self.online: bool | None = None
        """What was told last; None: nothing yet."""
        self.subscriptions: set[Subscription] = set()


class Presence:
    """Presence of one process's connections, and what its agents are told of all."""

    def __init__(self, bus: LiveBus) -> None:
        self._bus = bus
        self._watched: dict[str, _Watched] = {}
        self._leaving: dict[str, str] = {}
        """Conversation by contact: the last connection here has gone since the last sweep."""
        self._left: dict[str, str] = {}
        """Those that had gone before it."""
        self._new: set[str] = set()
        """Watched conversations that were not asked about yet."""
        self._wake = asyncio.Event()

    def arrived(self, actor: Actor) -> None:
        """A connection has begun."""
        first = self._bus.arrived(actor.id) == 1
        if not first or actor.kind is not ActorKind.VISITOR or actor.conversation_id is None:
            return
        known = self._leaving.pop(actor.id, None) or self._left.pop(actor.id, None)
        if known is None:
            self._publish(actor.conversation_id, online=True)

    def left(self, actor: Actor) -> None:
        """A connection has ended."""
        last = self._bus.left(actor.id) == 0
        if last and actor.kind is ActorKind.VISITOR and actor.conversation_id is not None:
            self._leaving[actor.id] = actor.conversation_id

    def watch(self, subscription: Subscription, contact_id: str) -> None:
        """Tell an agent's subscription whether the visitor is online, now and at each change."""
        id = subscription.conversation_id
        watched = self._watched.setdefault(id, _Watched(contact_id))
        watched.subscriptions.add(subscription)
        if watched.online is None:
            self._new.add(id)
            self._wake.set()
        else:
            subscription.other(_frame(id, watched))

    def unwatch(self, subscription: Subscription) -> None:
        """No more."""
        watched = self._watched.get(subscription.conversation_id)
        if watched is not None:
            watched.subscriptions.discard(subscription)
            if not watched.subscriptions:
                del self._watched[subscription.conversation_id]

    def changed(self, conversation_id: str, *, online: bool) -> None:
        """The visitor has come or gone, as this or another process says."""
        watched = self._watched.get(conversation_id)
        if watched is None or watched.online is online:
            return
        if not online and self._bus.here(watched.contact_id):
            return  # it was said before this process's connection was known there
        watched.online = online
        frame = _frame(conversation_id, watched)
        for subscription in list(watched.subscriptions):
            subscription.other(frame)

    async def run(self) -> None:
        """Tell who has left, and ask again, until cancelled."""
        loop = asyncio.get_running_loop()
        recheck_at = loop.time() + RECHECK_S
        sweep_at = loop.time() + SWEEP_S
        while True:
            try:
                async with asyncio.timeout_at(sweep_at):
                    await self._wake.wait()
            except TimeoutError:
                sweep_at = loop.time() + SWEEP_S
                await self._sweep()
            self._wake.clear()
            new, self._new = self._new, set()
            if loop.time() >= recheck_at:
                recheck_at = loop.time() + RECHECK_S
                new = set(self._watched)
            await self._ask(new)

    async def _sweep(self) -> None:
        gone, self._left, self._leaving = self._left, self._leaving, {}
        for some in _chunks(gone):
            online = await self._bus.online(some)
            for contact_id in some:
                if online.get(contact_id, 0) == 0 and not self._bus.here(contact_id):
                    self._publish(gone[contact_id], online=False)

    async def _ask(self, conversation_ids: Iterable[str]) -> None:
        for some in _chunks(conversation_ids):
            contacts = {id: self._watched[id].contact_id for id in some if id in self._watched}
            online = await self._bus.online(set(contacts.values()))
            for id, contact_id in contacts.items():
                # One who has just left counts as here until the sweep has decided.
                leaving = contact_id in self._leaving or contact_id in self._left
                if contact_id in online and not leaving:
                    self.changed(id, online=online[contact_id] > 0)

    def _publish(self, conversation_id: str, *, online: bool) -> None:
        self.changed(conversation_id, online=online)
        self._bus.publish(conversation_id, ONLINE if online else OFFLINE)


def _frame(conversation_id: str, watched: _Watched) -> bytes:
    return frames.encode(
        {
            "type": "presence",
            "conversation_id": conversation_id,
            "subject": {"kind": ActorKind.VISITOR.value, "id": watched.contact_id},
            "online": watched.online,
        }
    )


def _chunks(ids: Iterable[str]) -> Iterable[list[str]]:
    every = list(ids)
    return (every[start : start + _ASK] for start in range(0, len(every), _ASK))
