"""A signal to stop is remembered, and ends what may take long."""

import os
import signal

import pytest

from interfaces.workers.stop_signals import Interrupted, StopSignals


def _send(number: int) -> None:
    os.kill(os.getpid(), number)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_is_remembered_and_the_handlers_of_before_come_back(number: int) -> None:
    before = signal.getsignal(number)
    with StopSignals() as signals:
        assert not signals.seen
        _send(number)
        assert signals.seen
    assert signal.getsignal(number) == before


def test_a_signal_ends_what_can_be_interrupted() -> None:
    with StopSignals() as signals:
        with pytest.raises(Interrupted), signals.interrupting():
            _send(signal.SIGTERM)
        _send(signal.SIGTERM)  # what follows, stopping, goes on
        assert signals.seen


def test_what_begins_after_the_signal_does_not_begin() -> None:
    with StopSignals() as signals:
        _send(signal.SIGTERM)
        with pytest.raises(Interrupted), signals.interrupting():
            pytest.fail("it began")
