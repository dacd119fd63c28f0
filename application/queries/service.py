"""Answers to core queries, from the log and the cached states."""

from typing import Any, Final

from application.commands.state_cache import StateCache
from application.commands.unit_of_work import UnitOfWork
from application.ports.event_store import EventStore, RecordedEvent
from application.ports.system import Clock
from application.queries.core import (
    Authenticate,
    ConversationAsOf,
    CoreQuery,
    Credentials,
    ErasureOf,
    FindCredentials,
    FindOrder,
    IndexHealth,
    IndexState,
    LogHealth,
    Principal,
    ReadStreams,
    StreamsRead,
)
from application.queries.erasure import Erasures
from application.queries.history import conversation_as_of
from application.sealing import IN_CLEAR, Opener
from domain.access import token as tokens
from domain.actors import Actor, ActorKind
from domain.agent import agent as agents
from domain.contact import contact as contacts
from domain.errors import InvalidInput, Unauthenticated, Unavailable
from domain.order import order as orders

MAX_SLICES: Final = 100
MAX_SLICE_EVENTS: Final = 200
_ENOUGH_BYTES: Final = 4 * 1024 * 1024
"""Of payloads in one answer, after which no further slice is begun."""


class CoreQueries:
    """Reads only; sees what commands have staged, as commands do."""

    def __init__(
        self,
        store: EventStore,
        clock: Clock,
        cache: StateCache,
        opener: Opener = IN_CLEAR,
        erasures: Erasures | None = None,
    ) -> None:
        self._store = store
        self._opener = opener
        self._erasures = erasures
        self._clock = clock
        self._cache = cache

    def answer(self, query: CoreQuery) -> Any:
        """The answer; its type is named in the query's docstring.

        Raises:
            DomainError: as the query says.
        """
        match query:
            case Authenticate():
                return self._authenticate(query)
            case FindCredentials():
                return self._find_credentials(query)
            case ConversationAsOf():
                return conversation_as_of(
                    self._store,
                    query.conversation_id,
                    query.position,
                    query.time_us,
                    self._opener,
                )
            case ReadStreams():
                return self._read_streams(query)
            case LogHealth():
                return self._store.failure
            case IndexHealth():
                return self._index_state()
            case ErasureOf(contact_id=contact_id):
                if self._erasures is None:
                    raise Unavailable("This core has no keys.")
                return self._erasures.certificate(contact_id)
            case FindOrder(reference=reference):
                order = self._reader().load(orders.DECIDER, orders.order_id(reference))
                orders.require_registered(order, reference)
                return order

    def _read_streams(self, query: ReadStreams) -> StreamsRead:
        slices = query.slices
        if not 1 <= len(slices) <= MAX_SLICES or not all(
            1 <= one.limit <= MAX_SLICE_EVENTS for one in slices
        ):
            raise InvalidInput(f"1 to {MAX_SLICES} slices of 1 to {MAX_SLICE_EVENTS} events.")
        events: list[RecordedEvent] = []
        size = answered = 0
        for one in slices:
            found = self._store.read_stream(
                one.stream, one.after_version, one.limit, query.up_to_position
            )
            events += found
            answered += 1
            size += sum(len(event.payload) for event in found)
            if size > _ENOUGH_BYTES:
                break
        return StreamsRead(events, answered)

    def _index_state(self) -> IndexState | None:
        progress = self._store.index_progress
        if progress is None:
            return None
        return IndexState(progress.percent, *progress, self._store.index_failure)

    def _reader(self) -> UnitOfWork:
        return UnitOfWork(self._store, self._cache, self._clock.now_us(), opener=self._opener)

    def _authenticate(self, query: Authenticate) -> Principal:
        uow = self._reader()
        token = uow.load(tokens.DECIDER, query.token_id)
        tokens.require_valid(token, uow.now_us)
        match token.kind:
            case ActorKind.AGENT:
                agent = uow.load(agents.DECIDER, token.subject_id)
                if not agent.active:
                    raise Unauthenticated("The agent is deactivated.")
                actor = Actor(ActorKind.AGENT, agent.id, agent.name, agent.role)
                return Principal(
                    actor, token.id, token.expires_us, agent.email, agent.must_change_password
                )
            case ActorKind.VISITOR:
                contact = uow.load(contacts.DECIDER, token.subject_id)
                actor = Actor(
                    ActorKind.VISITOR,
                    contact.id,
                    contact.name or "",
                    conversation_id=token.conversation_id,
                )
            case _:
                actor = Actor(
                    ActorKind.API_KEY,
                    token.subject_id,
                    token.name,
                    scopes=frozenset(token.scopes),
                )
        return Principal(actor, token.id, token.expires_us)

    def _find_credentials(self, query: FindCredentials) -> Credentials | None:
        try:
            claim_id = agents.email_claim_id(query.email)
        except InvalidInput:
            return None  # no agent can have such an address: the same answer as an unknown one
        uow = self._reader()
        claim = uow.load(agents.EMAIL_DECIDER, claim_id)
        if claim.agent_id is None:
            return None
        agent = uow.load(agents.DECIDER, claim.agent_id)
        return Credentials(
            agent_id=agent.id,
            email=agent.email or "",
            name=agent.name,
            role=agent.role,
            active=agent.active,
            password_hash=agent.password_hash,
            must_change_password=agent.must_change_password,
        )
