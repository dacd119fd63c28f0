"""What the command bus does with keys of data subjects, beside deciding."""

import asyncio

from application.commands.state_cache import StateCache
from application.commands.unit_of_work import Erasure
from application.ports.subject_keys import SubjectKeys
from application.sealing import IN_CLEAR, Opener, Sealer


class KeyWork:
    """Keys become durable before the events that they seal, and are destroyed after the event that
    says so. Without keys everything is written in clear.
    """

    def __init__(self, keys: SubjectKeys | None, cache: StateCache) -> None:
        self._keys = keys
        self._cache = cache
        self.sealer = None if keys is None else Sealer(keys)
        self.opener = IN_CLEAR if keys is None else Opener(keys)

    @property
    def unsaved(self) -> bool:
        """Whether the next append has to wait for `save`."""
        return self._keys is not None and self._keys.unsaved

    async def save(self) -> None:
        """Make new keys durable, off the event loop; raises as `SubjectKeys.save`."""
        if self._keys is not None:
            await asyncio.to_thread(self._keys.save)

    async def erase(self, erasure: Erasure) -> None:
        """Destroy the subject's key and forget what is in memory; raises as `SubjectKeys.destroy`.

        Its contact and conversations have forgotten by their events.
        """
        if self._keys is not None:
            await asyncio.to_thread(self._keys.destroy, erasure.subject_id)
        self._cache.forget("message", lambda m: m.conversation_id in erasure.conversation_ids)
        self._cache.forget("token", lambda token: token.subject_id == erasure.subject_id)
        # They are few, and none names its subject; what is needed again is read again.
        self._cache.forget("idempotency", lambda request: True)
