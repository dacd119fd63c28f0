"""The certificate of an erasure: made from the log whenever it is asked for, always the same."""

import base64
import hashlib
from datetime import UTC, datetime, timedelta
from typing import Final

import msgspec

from application.ports.erasure import CertificateSigner, ErasureCertificate, SignedCertificate
from application.ports.event_store import EventStore, RecordedEvent
from application.ports.subject_keys import SubjectKeys
from application.sealing import Opener
from domain.contact import contact as contacts
from domain.contact.events import SubjectErased
from domain.conversation import conversation as conversations
from domain.conversation.events import MessageAccepted
from domain.errors import ContactNotErased, Unavailable
from domain.message import message as messages

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_canonical: Final = msgspec.json.Encoder(order="sorted").encode


class Erasures:
    """Answers `ErasureOf`."""

    def __init__(
        self, store: EventStore, opener: Opener, keys: SubjectKeys, signer: CertificateSigner
    ) -> None:
        self._store = store
        self._opener = opener
        self._keys = keys
        self._signer = signer

    def certificate(self, contact_id: str) -> SignedCertificate:
        """That a contact was erased.

        Raises:
            ContactNotErased: it was not.
            Unavailable: the key is not destroyed yet.
        """
        recorded, event = self._erased(contact_id)
        if not self._keys.is_destroyed(contact_id):
            raise Unavailable("The contact's key is not destroyed yet; erase the contact again.")
        moment = _EPOCH + timedelta(microseconds=recorded.recorded_us)
        certificate = ErasureCertificate(
            contact_id=contact_id,
            key_id=event.key_id,
            position=recorded.position,
            event_sha256=hashlib.sha256(recorded.payload).hexdigest(),
            erased_at=moment.isoformat().replace("+00:00", "Z"),
            reason=event.reason,
            requested_by=event.requested_by,
            in_clear=self._in_clear(contact_id),
        )
        signature = self._signer.sign(_canonical(certificate))
        return SignedCertificate(
            certificate,
            base64.b64encode(self._signer.public_key).decode(),
            base64.b64encode(signature).decode(),
        )

    def _erased(self, contact_id: str) -> tuple[RecordedEvent, SubjectErased]:
        for recorded in reversed(self._store.read_stream(contacts.DECIDER.stream(contact_id))):
            if recorded.type.startswith("contact.erased."):
                event = self._opener.decode(recorded)
                assert isinstance(event, SubjectErased)
                return recorded, event
        raise ContactNotErased(contact_id)

    def _in_clear(self, contact_id: str) -> int:
        count = 0
        state = contacts.DECIDER.initial(contact_id)
        events = self._store.read_stream(contacts.DECIDER.stream(contact_id))
        if not _is_in_clear(events[0], personal=True):
            return 0  # there were keys when the contact began, and so for all that came later
        for recorded in events:
            event = self._opener.decode(recorded)
            state = contacts.evolve(state, event)  # type: ignore[arg-type]  # its own stream
            count += _is_in_clear(recorded, personal=bool(event.personal_fields()))
        for conversation_id in state.conversation_ids:
            stream = conversations.DECIDER.stream(conversation_id)
            for accepted in map(self._opener.decode, self._store.read_stream(stream)):
                if isinstance(accepted, MessageAccepted):
                    count += self._of_message(accepted.message_id)
        return count

    def _of_message(self, message_id: str) -> int:
        return sum(
            _is_in_clear(recorded, personal=bool(self._opener.decode(recorded).personal_fields()))
            for recorded in self._store.read_stream(messages.DECIDER.stream(message_id))
        )


def _is_in_clear(recorded: RecordedEvent, *, personal: bool) -> bool:
    return personal and b'"keyId":"' not in recorded.metadata
