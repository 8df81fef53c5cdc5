"""What auto picks: the most faithful mode that there is time for, and the cheapest where there is time for none."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from constrained.engines.decoding.reader import PATIENCE_S, ChoiceSize, Speed, pick, pick_channel
from constrained.engines.protocol import Deadline

FAITHFUL = ("exact", "refine", "prefix", "walk")
speeds = st.builds(Speed, st.floats(1e-4, 0.1), st.floats(1e-6, 1e-2))
sizes = st.integers(1, 100).flatmap(
    lambda n: st.integers(0, 100_000).flatmap(
        lambda inner: st.builds(ChoiceSize, st.just(n), st.just(inner), st.integers(0, inner), st.booleans(), st.booleans())
    )
)


@given(sizes, speeds)
def test_more_time_never_means_a_less_faithful_mode(size, speed):
    picked = [FAITHFUL.index(pick(size, speed, Deadline.after(within_s))[0]) for within_s in (0.01, 0.1, 1, 10, 100, 1e6)]
    affordable = picked[next((index for index, place in enumerate(picked) if place < 3), 0) :]
    assert affordable == sorted(affordable, reverse=True)
    assert picked[-1] == 0


@given(sizes, speeds)
def test_the_reason_names_the_mode_and_the_time(size, speed):
    mode, reason = pick(size, speed, None)
    assert reason.startswith(mode)
    assert f"{PATIENCE_S:.2g} s" in reason


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        (ChoiceSize(28, 50, 20, True, True), "exact"),
        (ChoiceSize(28, 3_400, 250, False, True), "refine"),
        (ChoiceSize(28, 30_000, 600, True, True), "prefix"),
        (ChoiceSize(28, 900_000, 25_000, False, False), "walk"),
    ],
)
def test_on_a_small_machine(size, expected):
    """Two cores and the 135M model: about 25 ms a pass and 1.3 ms a token."""
    assert pick(size, Speed(0.025, 0.0013), None)[0] == expected


def test_the_channel_reads_all_while_there_is_time():
    speed = Speed(0.01, 0.001)
    assert pick_channel(500, 300, speed, None)[0] == "exact"
    assert pick_channel(50_000, 300, speed, None)[0] == "refine"
    assert pick_channel(50_000, 300, speed, Deadline.after(1_000))[0] == "exact"
