"""The first signal asks for a stop, the second stops at once, for Ctrl-C and SIGTERM alike."""

from __future__ import annotations

import os
import signal

import pytest

from runner.interrupt import SIGNALS, stop_on_signals


def send(number: signal.Signals) -> None:
    os.kill(os.getpid(), number)


@pytest.mark.parametrize("number", SIGNALS)
def test_the_first_signal_asks_for_a_stop_and_says_so(number: signal.Signals) -> None:
    said: list[str] = []
    with stop_on_signals(lambda: said.append("stopping")) as stop:
        assert not stop.requested
        send(number)
        assert stop.requested
    assert said == ["stopping"]


@pytest.mark.parametrize("second", SIGNALS)
def test_the_second_signal_stops_at_once_and_further_ones_do_not_disturb(second: signal.Signals) -> None:
    said: list[str] = []
    with stop_on_signals(lambda: said.append("stopping")):
        send(signal.SIGINT)
        with pytest.raises(KeyboardInterrupt):
            send(second)
        for each in SIGNALS:
            send(each)
    assert said == ["stopping"]


@pytest.mark.parametrize("number", SIGNALS)
def test_afterwards_signals_do_what_they_did_before(number: signal.Signals) -> None:
    before = signal.getsignal(number)
    with stop_on_signals(lambda: None):
        assert signal.getsignal(number) is not before
    assert signal.getsignal(number) is before
