"""How refunds are decided: the policy of a currency, and what an agent has used of its day."""

from typing import Final

import msgspec

from domain import errors, money
from domain.events import Decider
from domain.refund.events import ApprovalRule, RefundAllowanceUsed, RefundPolicySet

_replace = msgspec.structs.replace
_DAY_US: Final = 86_400_000_000


class RefundPolicy(msgspec.Struct, frozen=True, gc=False):
    """State of the policy of one currency; its id is the currency.

    Where nothing was set, every refund needs a second person.
    """

    id: str
    automatic_up_to_minor: int = 0
    four_eyes_above_minor: int = 0
    agent_daily_minor: int | None = None
    set: bool = False

    def rule_for(self, amount_minor: int) -> ApprovalRule:
        """What a refund of this amount needs."""
        if amount_minor <= self.automatic_up_to_minor:
            return ApprovalRule.AUTOMATIC
        if amount_minor <= self.four_eyes_above_minor:
            return ApprovalRule.ONE_PERSON
        return ApprovalRule.FOUR_EYES


def evolve_policy(state: RefundPolicy, event: RefundPolicySet) -> RefundPolicy:
    """State after one more event."""
    return _replace(
        state,
        automatic_up_to_minor=event.automatic_up_to_minor,
        four_eyes_above_minor=event.four_eyes_above_minor,
        agent_daily_minor=event.agent_daily_minor,
        set=True,
    )


POLICY: Decider[RefundPolicy] = Decider("refund_policy", RefundPolicy, evolve_policy)


def set_policy(
    state: RefundPolicy,
    automatic_up_to_minor: int,
    four_eyes_above_minor: int,
    agent_daily_minor: int | None,
) -> tuple[RefundPolicySet, ...]:
    """Replace the policy; the same again says nothing new.

    Raises:
        InvalidInput: what is wrong with it.
    """
    money.check_currency(state.id)
    limits = (automatic_up_to_minor, four_eyes_above_minor, agent_daily_minor or 0)
    if any(not 0 <= limit <= money.MAX_MINOR for limit in limits):
        raise errors.InvalidInput("Limits must be from 0 to 10^15 minor units.")
    if automatic_up_to_minor > four_eyes_above_minor:
        raise errors.InvalidInput(
            "What needs a second person can't be approved automatically: automatic_up_to must not"
            " be above four_eyes_above.",
            "automatic_up_to",
        )
    new = RefundPolicySet(state.id, automatic_up_to_minor, four_eyes_above_minor, agent_daily_minor)
    return () if state.set and evolve_policy(state, new) == state else (new,)


class RefundAllowance(msgspec.Struct, frozen=True):
    """State of one agent's allowance: its id is the agent's."""

    id: str
    day: int = 0
    used: dict[str, int] = {}
    """Currency -> minor units, on that day."""


def evolve_allowance(state: RefundAllowance, event: RefundAllowanceUsed) -> RefundAllowance:
    """State after one more event."""
    used = state.used if event.day == state.day else {}
    sum_minor = used.get(event.currency, 0) + event.amount_minor
    return _replace(state, day=event.day, used={**used, event.currency: sum_minor})


ALLOWANCE: Decider[RefundAllowance] = Decider("refund_allowance", RefundAllowance, evolve_allowance)


def use(
    state: RefundAllowance,
    policy: RefundPolicy,
    refund_id: str,
    amount_minor: int,
    now_us: int,
) -> tuple[RefundAllowanceUsed, ...]:
    """Count a refund against the agent's day.

    Raises:
        RefundLimitReached: the day's limit does not allow it.
    """
    # A clock that went back does not begin a new day.
    day = max(now_us // _DAY_US, state.day)
    if policy.agent_daily_minor is not None:
        used = state.used.get(policy.id, 0) if day == state.day else 0
        left = policy.agent_daily_minor - used
        if amount_minor > left:
            raise errors.RefundLimitReached(money.show(max(0, left), policy.id))
    return (RefundAllowanceUsed(day, policy.id, amount_minor, refund_id),)
