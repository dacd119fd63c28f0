"""A subscription gives each message once, in order, whatever the replay and live race like."""

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from interfaces.gateway.subscription import MAX_BUFFERED, Subscription

UNHURRIED = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
"""A busy machine is no failure."""


def _subscription(after_seq: int = 0) -> tuple[Subscription, list[int]]:
    emitted: list[int] = []
    return Subscription("c", after_seq, lambda frame: emitted.append(int(frame)), staff=True), (
        emitted
    )


def _frame(seq: int) -> bytes:
    return str(seq).encode()


@UNHURRIED
@given(data=st.data(), total=st.integers(0, 40), page=st.integers(1, 7))
def test_any_race_of_replay_and_live_gives_every_seq_once_in_order(
    data: st.DataObject, total: int, page: int
) -> None:
    """The log grows, the hub follows it, the views follow it: each at its own pace.

    What the protocol of the replay guarantees: a page is read only when the views have reached
    where the hub was at the subscription; the hub tells everything after that.
    """
    before = data.draw(st.integers(0, total), label="messages before the subscription")
    after_seq = data.draw(st.integers(0, before), label="the client has up to")
    subscription, emitted = _subscription(after_seq)
    told = before
    viewed = before
    replaying = True
    while replaying or told < total:
        choices = (["replay"] if replaying else []) + (["live"] if told < total else [])
        if viewed < told:
            choices.append("project")
        match data.draw(st.sampled_from(choices)):
            case "live":
                told += 1
                assert subscription.message(told, _frame(told))
            case "project":
                viewed += 1
            case "replay":
                start = subscription.last_seq
                rows = range(start + 1, min(start + page, viewed) + 1)
                for seq in rows:
                    subscription.replayed(seq, _frame(seq))
                if len(rows) < page:
                    subscription.finish_replay()
                    replaying = False
    assert emitted == list(range(after_seq + 1, total + 1))
    assert subscription.live


@UNHURRIED
@given(st.sets(st.integers(1, 30)), st.integers(0, 30))
def test_gaps_of_private_notes_do_not_hold_up_a_visitor(public: set[int], split: int) -> None:
    subscription, emitted = _subscription()
    for seq in sorted(public):
        if seq <= split:
            subscription.replayed(seq, _frame(seq))
        else:
            subscription.message(seq, _frame(seq))
    subscription.finish_replay()
    assert emitted == sorted(public)


def test_other_frames_keep_their_place_behind_the_messages_before_them() -> None:
    subscription, emitted = _subscription()
    subscription.message(1, _frame(1))
    subscription.other(b"1001")
    subscription.message(2, _frame(2))
    assert emitted == []
    subscription.finish_replay()
    subscription.other(b"1002")
    assert emitted == [1, 1001, 2, 1002]


def test_what_waits_for_a_replay_is_bounded() -> None:
    subscription, _ = _subscription()
    taken = [subscription.message(seq, _frame(seq)) for seq in range(1, MAX_BUFFERED + 2)]
    assert taken == [True] * MAX_BUFFERED + [False]
