"""The keepalive policy: bounds that hold for every client, and what networks teach."""

from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from interfaces.gateway.client_keys import network_key
from interfaces.gateway.keepalive import Keepalive, Policy
from interfaces.gateway.tcp_info import TcpSample

POLICY = Policy()
GOOD = TcpSample(rtt_us=40_000, rttvar_us=5_000, retransmits=0)
UNEVEN = TcpSample(rtt_us=400_000, rttvar_us=300_000, retransmits=0)
NETWORK = network_key("203.0.113.7")


class _Link:
    """One client and the time. It answers pings after `delay()`; None: never."""

    def __init__(self, keepalive: Keepalive, delay: Callable[[], float | None]) -> None:
        self.keepalive = keepalive
        self.now = 0.0
        self.id = 0
        self.died_at: float | None = None
        self.intervals: set[float] = set()
        self._delay = delay
        self._answers: list[float] = []

    def connect(self, network: int = NETWORK) -> None:
        self.id += 1
        self.died_at = None
        self._answers = []
        self.keepalive.opened(self.id, network)

    def step(self, seconds: float = 0.5) -> None:
        self.now += seconds
        if any(at <= self.now for at in self._answers):
            self.keepalive.heard(self.id)
            self._answers = [at for at in self._answers if at > self.now]
        pings, dead = self.keepalive.due(self.now)
        if interval := self.keepalive.interval_s(self.id):
            self.intervals.add(interval)
        if dead:
            assert dead == [self.id]
            self.died_at = self.now
        if pings and (delay := self._delay()) is not None:
            self._answers.append(self.now + delay)

    def run(self, seconds: float) -> None:
        until = self.now + seconds
        while self.now < until and self.died_at is None:
            self.step()

    def run_to_death(self) -> float:
        begin = self.now
        self.run(1000)
        assert self.died_at is not None
        return self.died_at - begin


def _link(delay: float | None = 0.0) -> _Link:
    link = _Link(Keepalive(0.0), lambda: delay)
    link.connect()
    return link


def test_an_interval_grows_after_three_answered_pings_up_to_240_s() -> None:
    link = _link()
    link.run(30 * 3 + POLICY.grace_s + 5)
    assert link.keepalive.interval_s(link.id) == 45
    link.run(3600)
    assert link.keepalive.interval_s(link.id) == 240
    assert link.died_at is None


def test_a_client_that_is_heard_all_the_time_is_never_pinged_and_teaches_nothing() -> None:
    link = _link()
    for _ in range(2000):
        link.step()
        link.keepalive.heard(link.id)
    assert link.keepalive.stats.pings == 0
    assert link.keepalive.interval_s(link.id) == 30


def test_a_silent_death_halves_what_the_network_teaches_and_no_other_network() -> None:
    link = _link(delay=None)
    link.run_to_death()
    link.connect()
    assert link.keepalive.interval_s(link.id) == 20
    link.connect(network_key("198.51.100.1"))
    assert link.keepalive.interval_s(link.id) == 30
    assert link.keepalive.stats.silent_deaths == 1


def test_a_network_teaches_its_new_connections_what_old_ones_outlived() -> None:
    link = _link()
    link.run(1000)
    grown = link.keepalive.interval_s(link.id)
    assert grown > 60
    link.connect(network_key("203.0.113.200"))
    assert link.keepalive.interval_s(link.id) == grown


def test_an_outage_that_ends_a_thousand_connections_halves_their_network_once() -> None:
    link = _link()
    link.run(3600)
    grown = link.keepalive.interval_s(link.id)
    for id_ in range(100, 1100):
        link.keepalive.opened(id_, NETWORK)
    for id_ in range(100, 1100):
        link.keepalive.closed(id_, silent=True)
    link.connect()
    assert link.keepalive.interval_s(link.id) == grown / 2


def test_a_client_that_says_goodbye_teaches_nothing() -> None:
    link = _link()
    link.keepalive.closed(link.id)
    link.connect()
    assert link.keepalive.interval_s(link.id) == 30
    assert link.keepalive.stats.silent_deaths == 0


def test_networks_are_remembered_in_bounded_number() -> None:
    keepalive = Keepalive(0.0, Policy(networks=10))
    for id_ in range(1, 100):
        keepalive.opened(id_, id_)
        keepalive.closed(id_, silent=True)
    keepalive.opened(100, 1)
    keepalive.opened(101, 99)
    assert (keepalive.interval_s(100), keepalive.interval_s(101)) == (30, 20)


@pytest.mark.parametrize(
    "sample", [UNEVEN, GOOD._replace(retransmits=3)], ids=["uneven", "retransmits"]
)
def test_a_poor_link_gets_more_pings_further_apart(sample: TcpSample) -> None:
    good, poor = _link(delay=None), _link(delay=None)
    good.keepalive.sample(good.id, GOOD)
    poor.keepalive.sample(poor.id, sample)
    assert (good.keepalive.is_poor(good.id), poor.keepalive.is_poor(poor.id)) == (False, True)
    assert good.run_to_death() < 30 + 2 * 12
    assert poor.run_to_death() > 30 + 3 * 20
    assert (good.keepalive.stats.pings, poor.keepalive.stats.pings) == (2, 3)


def test_a_link_is_poor_until_a_sample_without_new_retransmits() -> None:
    link = _link()
    for retransmits, poor in ((256 + 7, True), (256 + 7, False), (256 + 8, True)):
        link.keepalive.sample(link.id, GOOD._replace(retransmits=retransmits))
        assert link.keepalive.is_poor(link.id) is poor


def test_a_process_that_stood_still_takes_nobody_for_dead() -> None:
    link = _link()
    link.run(30.5)
    assert link.keepalive.stats.pings == 1
    _, dead = link.keepalive.due(link.now + 3600)
    assert not dead


def test_what_is_not_open_can_be_heard_sampled_and_closed_without_effect() -> None:
    link = _link()
    for id_ in (2, 1000):
        link.keepalive.heard(id_)
        link.keepalive.sample(id_, UNEVEN)
        link.keepalive.closed(id_, silent=True)
        assert link.keepalive.interval_s(id_) == 0.0
    assert link.keepalive.stats.silent_deaths == 0


def test_the_kernels_time_out_stays_out_of_the_way_of_the_longest_interval() -> None:
    assert POLICY.backstop_s() > POLICY.most_s + POLICY.poor_probes * POLICY.poor_grace_s


def test_intervals_are_counted_in_the_bucket_that_bounds_them() -> None:
    link = _link()
    link.run(3600)
    stats = link.keepalive.stats
    assert sum(stats.intervals) == stats.pings
    assert stats.intervals[1] == 3  # 30 s
    assert stats.intervals[5] > 3  # 240 s


_scales = st.sampled_from([1.0, 0.01])
_steps = st.lists(st.floats(0.05, 0.5), min_size=1, max_size=7)


@settings(deadline=None, max_examples=40)
@given(st.data(), _scales)
def test_no_history_takes_an_interval_out_of_its_range(data: st.DataObject, scale: float) -> None:
    policy = POLICY.scaled(scale)
    answers = st.one_of(st.none(), st.floats(0, 100 * scale))
    keepalive = Keepalive(0.0, policy)
    link = _Link(keepalive, lambda: data.draw(answers))
    for _ in range(4):
        keepalive.closed(link.id)
        link.connect()
        for _ in range(data.draw(st.integers(1, 12))):
            begin = keepalive.stats.pings
            while link.died_at is None and keepalive.stats.pings == begin:
                link.step(policy.tick_s)
            keepalive.sample(link.id, data.draw(st.sampled_from([GOOD, UNEVEN])))
    tolerance = policy.tick_s
    assert min(link.intervals) >= policy.least_s - tolerance
    assert max(link.intervals) <= policy.most_s + tolerance


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 30), st.booleans(), st.floats(0, 40), _steps)
def test_a_dead_peer_is_found_within_the_stated_bound(
    good_pings: int, poor: bool, late_word_s: float, steps: list[float]
) -> None:
    link = _Link(Keepalive(0.0), lambda: 0.0 if link.keepalive.stats.pings <= good_pings else None)
    link.connect()
    link.keepalive.sample(link.id, UNEVEN if poor else GOOD)
    n = 0
    said = False
    last_heard = 0.0
    while link.died_at is None:
        answers = bool(link._answers)
        link.step(steps[n % len(steps)])
        n += 1
        if answers and not link._answers:
            last_heard = link.now
        # One more word at any time, also between two pings that go without answer.
        silent_s = link.now - last_heard
        alone = link.keepalive.stats.pings > good_pings
        if not said and alone and silent_s >= late_word_s and link.died_at is None:
            link.keepalive.heard(link.id)
            last_heard, said = link.now, True
            interval = link.keepalive.interval_s(link.id)
        if not said:
            interval = link.keepalive.interval_s(link.id) or interval
    # The late word may have been the third good answer in a row.
    interval = min(240.0, interval * 1.5) if said else interval
    assert link.died_at - last_heard <= POLICY.bound_s(interval, poor=poor)


@settings(deadline=None, max_examples=40)
@given(st.data(), _steps)
def test_a_living_peer_that_answers_within_the_grace_is_never_taken_for_dead(
    data: st.DataObject, steps: list[float]
) -> None:
    keepalive = Keepalive(0.0)

    def delay() -> float:
        poor = keepalive.is_poor(1)
        return data.draw(st.floats(0, POLICY.poor_grace_s if poor else POLICY.grace_s))

    link = _Link(keepalive, delay)
    link.connect()
    keepalive.sample(1, data.draw(st.sampled_from([GOOD, UNEVEN])))
    n = 0
    while keepalive.stats.pings < 15:
        link.step(steps[n % len(steps)])
        n += 1
        assert link.died_at is None
    assert keepalive.stats.silent_deaths == 0
