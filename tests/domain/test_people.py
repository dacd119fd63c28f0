"""Rules of contacts, agents, tokens and idempotency keys."""

from functools import reduce

import pytest

from domain import errors
from domain.access import token as t
from domain.access.events import TokenIssued
from domain.actors import Actor, ActorKind, Role
from domain.agent import agent as a
from domain.contact import contact as p
from domain.idempotency import request as i
from domain.idempotency.events import RequestCompleted


def introduced(*calls: dict) -> p.Contact:  # type: ignore[type-arg]
    state = p.Contact("p")
    for call in calls:
        state = reduce(p.evolve, p.introduce(state, **call), state)
    return state


ALICE = {"identifier": "u1", "name": "Alice", "email": "a@x.io", "identity_verified": True}


def test_a_contact_is_created_once() -> None:
    assert introduced(ALICE, ALICE) == introduced(ALICE)


def test_an_unproved_identity_does_not_change_what_is_known() -> None:
    mallory = {"identifier": "u1", "name": "Mallory", "email": None, "identity_verified": False}
    assert introduced(ALICE, mallory).name == "Alice"


def test_a_proved_identity_updates_name_and_email() -> None:
    married = {**ALICE, "name": "Alice Wu", "email": None}
    state = introduced(ALICE, married)
    assert (state.name, state.email) == ("Alice Wu", "a@x.io")


def test_only_a_proved_conversation_is_resumed() -> None:
    state = introduced(ALICE)
    for conversation, verified in [("c1", True), ("c2", False)]:
        events = p.start_conversation(state, conversation, identity_verified=verified)
        state = reduce(p.evolve, events, state)
    assert state.verified_conversation_id == "c1"


def test_two_first_calls_with_one_identifier_find_one_contact() -> None:
    assert p.contact_id("u1") == p.contact_id("u1") != p.contact_id("u2")


def test_updating_an_unknown_contact_is_rejected() -> None:
    with pytest.raises(errors.ContactNotFound):
        p.update(p.Contact("p"), "x", None)


def registered(role: Role = Role.AGENT) -> a.Agent:
    events = a.register(a.Agent("a"), "Mei@Shop.cn", "Mei", role, "hash", one_time=True)
    return reduce(a.evolve, events, a.Agent("a"))


def test_a_registered_agent_is_active_and_its_address_is_in_lower_case() -> None:
    state = registered()
    assert (state.email, state.active, state.must_change_password) == ("mei@shop.cn", True, True)


@pytest.mark.parametrize("email", ["", "no-at", "a@", "@b", "a b@c", "x" * 250 + "@y.io"])
def test_a_bad_email_is_rejected(email: str) -> None:
    with pytest.raises(errors.InvalidInput):
        a.register(a.Agent("a"), email, "Mei", Role.AGENT, "hash", one_time=False)


def test_an_email_address_belongs_to_one_agent() -> None:
    claim = a.EmailClaim(a.email_claim_id("Mei@shop.cn"))
    assert claim.id == a.email_claim_id("mei@shop.cn ")
    claim = a.evolve_claim(claim, a.claim_email(claim, "a")[0])
    assert a.claim_email(claim, "a") == ()
    with pytest.raises(errors.EmailTaken):
        a.claim_email(claim, "b")


def test_an_own_password_ends_the_one_time_state() -> None:
    state = reduce(a.evolve, a.set_password(registered(), "h2", one_time=False), registered())
    assert not state.must_change_password


def test_deactivating_twice_says_it_once() -> None:
    state = reduce(a.evolve, a.deactivate(registered()), registered())
    assert not state.active
    assert a.deactivate(state) == ()
    assert a.reactivate(state) != ()


ISSUED = TokenIssued(ActorKind.VISITOR, "v", "", "c", (), 100)


def test_a_token_is_valid_until_it_expires_or_is_revoked() -> None:
    state = t.evolve(t.Token("t"), ISSUED)
    t.require_valid(state, 99)
    with pytest.raises(errors.TokenExpired):
        t.require_valid(state, 100)
    revoked = reduce(t.evolve, t.revoke(state), state)
    with pytest.raises(errors.Unauthenticated):
        t.require_valid(revoked, 1)
    assert t.revoke(revoked) == ()


def test_an_unknown_token_opens_nothing() -> None:
    with pytest.raises(errors.Unauthenticated):
        t.require_valid(t.Token("t"), 1)


def test_an_idempotency_key_belongs_to_its_user_and_to_one_request() -> None:
    x, y = Actor(ActorKind.AGENT, "x"), Actor(ActorKind.AGENT, "y")
    assert i.request_id(x, "k") != i.request_id(y, "k")
    used = i.evolve(i.IdempotentRequest("i"), RequestCompleted("f", {}))
    i.require_same(used, "f")
    i.require_same(i.IdempotentRequest("i"), "other")
    with pytest.raises(errors.IdempotencyKeyReused):
        i.require_same(used, "other")
