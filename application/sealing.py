"""Personal fields, sealed in stored events and opened in read ones (ADR 0018).

A sealed payload is the event's JSON without its personal fields, and with `sealed` at its end:
base64 of nonce, ciphertext and tag of the JSON of those fields. The key's id is in the metadata.
The seal is bound to the event's stream and version: moved elsewhere it does not open.
"""

import binascii
import copy
from collections.abc import Callable, Mapping, Sequence
from operator import attrgetter
from types import NoneType
from typing import Any, Final, NamedTuple, get_args

import msgspec

from application import codec
from application.codec import Envelope, UndecodableEvent
from application.ports.event_store import NewEvent, RecordedEvent
from application.ports.subject_keys import (
    SealBroken,
    SubjectCipher,
    SubjectKeyMissing,
    SubjectKeyReader,
    SubjectKeys,
)
from domain.events import Event, stored_name

_MARK: Final = b',"sealed":"'
"""In JSON a quote within a string is escaped: these bytes are a member's name and nothing else."""
_END: Final = b'"}'
_MARK_BYTES: Final = len(_MARK)
_END_BYTES: Final = len(_END)

OLD_PERSONAL: Final[Mapping[str, Mapping[str, Any]]] = {}
"""Stored name of an older version that was sealed -> its personal fields, empty. Empty: there is
none yet; docs/howto/add-an-event.md."""

_encode = msgspec.json.Encoder().encode
_astuple = msgspec.structs.astuple
_set = msgspec.structs.force_setattr
"""Of what was made here a moment before, and nobody else has seen; `replace` costs ten times as
much."""


class _KeyId(msgspec.Struct, rename="camel", gc=False):
    """All of the metadata that opening needs."""

    key_id: str | None = None


_key_id: Final = msgspec.json.Decoder(_KeyId).decode


class _Form:
    """How one class of events is divided into what is stored in clear and what is sealed."""

    def __init__(self, cls: type[Event]) -> None:
        self.name = stored_name(cls)
        self._types = {field.name: field.type for field in msgspec.structs.fields(cls)}
        flat = [path for path in cls.personal if "." not in path]
        nested = [path for path in cls.personal if "." in path]
        self.empty = {name: _empty(self._types[name]) for name in flat}
        self.empty_bytes = _encode(self.empty)
        self.nested = [tuple(path.split(".")) for path in nested]
        parts: Any = [("_".join(path), str | None, None) for path in self.nested]
        names = {"_".join(path): ".".join(path) for path in self.nested}
        self.parts = msgspec.json.Decoder(msgspec.defstruct("Parts", parts, rename=names)).decode
        self._clear_names = [name for name in self._types if name not in flat]
        fields: Any = [(name, self._types[name]) for name in self._clear_names]
        self._clear_of = _getter(self._clear_names)
        self._clear = msgspec.defstruct("Clear", fields, tag=self.name, gc=False)
        self._plans: dict[tuple[str, ...], Callable[[Event], tuple[bytes, bytes]]] = {}

    def divide(self, event: Event, paths: tuple[str, ...]) -> tuple[bytes, bytes]:
        """JSON of what is stored in clear, and of what is sealed."""
        plan = self._plans.get(paths)
        if plan is None:
            plan = self._plans[paths] = self._plan(paths)
        return plan(event)

    def _plan(self, paths: tuple[str, ...]) -> Callable[[Event], tuple[bytes, bytes]]:
        # Once for all events of a form: this is on the path of every message.
        names = [f"f{number}" for number, _ in enumerate(paths)]
        fields: Any = [(name, Any) for name in names]
        renamed = dict(zip(names, paths, strict=True))
        sealed = msgspec.defstruct("Sealed", fields, rename=renamed, gc=False)
        values_of, clear_of, clear = _getter(paths), self._clear_of, self._clear
        emptied = [
            (self._clear_names.index(name), part)
            for name, part in self.nested
            if f"{name}.{part}" in paths
        ]

        def plan(event: Event) -> tuple[bytes, bytes]:
            kept = clear_of(event)
            if emptied:
                kept = list(kept)
                for at, part in emptied:
                    kept[at] = copy.copy(kept[at])
                    _set(kept[at], part, "")
            return _encode(clear(*kept)), _encode(sealed(*values_of(event)))

        return plan


def _getter(paths: Sequence[str]) -> Callable[[Any], Any]:
    """Values by their paths, as a sequence however many there are."""
    if len(paths) > 1:
        return attrgetter(*paths)
    return lambda event: [attrgetter(path)(event) for path in paths]


def _empty(kind: Any) -> str | None:
    if kind is str:
        return ""
    if NoneType in get_args(kind):
        return None
    raise TypeError(f"a personal field is a string, or may be null; {kind!r} is not")


_FORMS: Final = {cls: _Form(cls) for cls in codec.EVENT_TYPES if cls.personal}
_FORM_OF: Final = {stored_name(cls): form for cls, form in _FORMS.items()}


def bound_to(stream: str, version: int) -> bytes:
    """An event's place as associated data: the version in 8 bytes, big-endian, then the stream."""
    return version.to_bytes(8, "big") + stream.encode()


class Sealer:
    """Encodes events for the log, personal fields sealed."""

    def __init__(self, keys: SubjectKeys) -> None:
        self.keys = keys

    def encode(
        self, event: Event, metadata: bytes, stream: str, version: int, subject: str | None
    ) -> NewEvent:
        """An event ready to be appended to its stream as this version.

        Args:
            subject: The contact of whom the event tells; None: nobody.

        Raises:
            ValueError: the event has personal fields and no subject.
            ContactErased: the subject's key is destroyed.
        """
        form = _FORMS.get(type(event))
        paths = event.personal_fields() if form is not None else ()
        if form is None or not paths or (subject is None and event.subject_optional):
            return codec.encode(event, metadata)
        if subject is None:
            raise ValueError(f"{stored_name(event)} has personal fields: name its subject")
        cipher = self.keys.of_subject(subject)
        clear, personal = form.divide(event, paths)
        sealed = cipher.seal(personal, bound_to(stream, version))
        text = binascii.b2a_base64(sealed, newline=False)
        payload = b"".join((clear[:-1], _MARK, text, _END))
        return NewEvent(form.name, payload, _with_key(metadata, cipher))


def _with_key(metadata: bytes, cipher: SubjectCipher) -> bytes:
    # Spliced: a command's metadata is encoded once for all of its events, and this costs a tenth.
    return metadata[:-1] + f',"keyId":"{cipher.id}"}}'.encode()


class OpenedFields(NamedTuple):
    """An event's payload for people and feeds."""

    fields: dict[str, Any]
    erased: bool
    """The personal ones are empty, because the subject was erased."""


class Opener:
    """Decodes events from the log, personal fields opened, or empty where the key is destroyed."""

    def __init__(self, keys: SubjectKeyReader) -> None:
        self._keys = keys
        self.forget = keys.forget

    def decode(self, recorded: RecordedEvent) -> Event:
        """An event; raises as `codec.decode`, and:

        Raises:
            SubjectKeyMissing: its key is not there, and was not destroyed.
            UndecodableEvent: its seal is broken.
            Unavailable: keys can't be read at the moment.
        """
        at = recorded.payload.rfind(_MARK)
        if at < 0:
            return codec.decode(recorded.type, recorded.payload)
        return self._open(recorded, at)[0]

    def open_envelope(self, recorded: RecordedEvent) -> Envelope:
        """A recorded event with its payload decoded; raises as `decode` does."""
        at = recorded.payload.rfind(_MARK)
        if at < 0:
            return codec.open_envelope(recorded)
        event, erased = self._open(recorded, at)
        return Envelope(
            recorded.position,
            recorded.stream,
            recorded.version,
            recorded.recorded_us,
            event,
            erased,
        )

    def payload(self, recorded: RecordedEvent) -> bytes:
        """The payload as if the event had been stored in clear; raises as `decode`."""
        if _MARK not in recorded.payload:
            return recorded.payload
        return _encode(self.fields(recorded).fields)

    def fields(self, recorded: RecordedEvent) -> OpenedFields:
        """The payload as JSON fields, also of an event that only a newer kefu knows."""
        payload = recorded.payload
        at = payload.rfind(_MARK)
        if at < 0:
            return OpenedFields(msgspec.json.decode(payload), False)
        fields: dict[str, Any] = msgspec.json.decode(payload[:at] + b"}")
        plain = self._unseal(recorded, at)
        if plain is None:
            form = _FORM_OF.get(recorded.type)
            fields.update(form.empty if form else OLD_PERSONAL.get(recorded.type, {}))
            return OpenedFields(fields, True)
        for path, value in msgspec.json.decode(plain).items():
            name, _, part = path.partition(".")
            if part:
                fields[name][part] = value
            else:
                fields[name] = value
        return OpenedFields(fields, False)

    def _open(self, recorded: RecordedEvent, at: int) -> tuple[Event, bool]:
        form = _FORM_OF.get(recorded.type)
        if form is None:
            return self._open_old(recorded)
        plain = self._unseal(recorded, at)
        # The fields are put back into the text: one decode, of what was stored in clear before.
        personal = form.empty_bytes if plain is None else plain
        text = b"".join((recorded.payload[:at], b",", personal[1:]))
        event = codec.decode(recorded.type, text)
        if plain is None:
            return event, True
        if form.nested:
            _put_parts(event, form, plain)
        return event, False

    def _open_old(self, recorded: RecordedEvent) -> tuple[Event, bool]:
        """A version that is no longer written, or one that this kefu does not know."""
        if not codec.knows(recorded.type):
            return codec.decode(recorded.type, recorded.payload), False  # raises what fits
        fields, erased = self.fields(recorded)
        return codec.decode(recorded.type, _encode(fields)), erased

    def _unseal(self, recorded: RecordedEvent, at: int) -> bytes | None:
        key_id = _metadata_key(recorded)
        cipher = self._keys.get(key_id)
        if cipher is None:
            return None
        try:
            sealed = binascii.a2b_base64(recorded.payload[at + _MARK_BYTES : -_END_BYTES])
            return cipher.open(sealed, bound_to(recorded.stream, recorded.version))
        except (SealBroken, binascii.Error) as error:
            raise UndecodableEvent(
                f"{recorded.stream} version {recorded.version}: its personal fields, sealed with"
                f" the key {key_id}, do not open: {error}"
            ) from error


def _metadata_key(recorded: RecordedEvent) -> str:
    try:
        found = _key_id(recorded.metadata).key_id
    except msgspec.MsgspecError as error:
        raise UndecodableEvent(f"metadata: {error}") from error
    if found is None:
        raise UndecodableEvent(
            f"{recorded.stream} version {recorded.version} is sealed, and names no key"
        )
    return found


def _put_parts(event: Event, form: _Form, plain: bytes) -> None:
    """Into an event that was decoded a moment before."""
    for (name, part), value in zip(form.nested, _astuple(form.parts(plain)), strict=True):
        if value is not None:
            _set(getattr(event, name), part, value)


class _NoKeys:
    """A log of events in clear: benchmarks, and tests of what has nothing to do with keys."""

    def get(self, key_id: str) -> SubjectCipher | None:
        raise SubjectKeyMissing(key_id)

    def forget(self, key_id: str) -> None: ...


IN_CLEAR: Final = Opener(_NoKeys())
"""Opens nothing; a sealed event is an error that names its key."""
