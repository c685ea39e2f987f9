"""When a proxy syncs while changes never stop, and how long a change waits for the end of its sync."""

from __future__ import annotations

from math import inf

import numpy as np
import pytest

from netsim.datapath.pacing import Pace, syncs, waits

SHARES = (0.01, 0.5, 0.9, 0.99)


@pytest.mark.parametrize(
    "pace", [Pace(1.0, 0.2), Pace(10.0, 3.0), Pace(1.0, 5.0), Pace(0.0, 0.1), Pace(10.0, 2.0, 15.0, 60.0)]
)
def test_one_sync_at_a_time_and_no_more_than_the_bucket_gives(pace: Pace) -> None:
    done = np.array(syncs(pace))
    assert (done[1:, 0] >= done[:-1, 1] - 1e-9).all()
    partial = done[np.isclose(done[:, 1] - done[:, 0], pace.sync_s)]
    tokens = 2 + (partial[:, 0] - partial[0, 0]) / max(pace.min_s, 1e-3)
    assert (np.arange(1, len(partial) + 1) <= tokens + 1e-6).all()


def test_the_runner_keeps_its_rate_in_the_long_run() -> None:
    # 10 s after the end of a sync of 3 s would be one in 13 s: the tokens saved meanwhile are spent on syncs in a row
    starts = np.array(syncs(Pace(10.0, 3.0)))[:, 0]
    assert np.diff(starts).mean() == pytest.approx(10.0, rel=0.1)
    assert set(np.round(np.diff(starts), 6)) == {3.0, 13.0}


def test_syncs_longer_than_the_minimum_follow_each_other() -> None:
    # a change waits for the rest of the running sync, uniform over it, and for its own
    found = waits(Pace(1.0, 8.0), SHARES)
    assert found == pytest.approx([8.0 * (1 + share) for share in SHARES], rel=0.01)


def test_short_syncs_wait_for_the_period() -> None:
    assert waits(Pace(5.0, 0.01), (0.5,))[0] == pytest.approx(2.5, rel=0.02)


def test_full_syncs_come_when_they_are_due_and_ask_no_bucket() -> None:
    pace = Pace(10.0, 2.0, 15.0, 60.0)
    full = [start for start, end in syncs(pace) if end - start == pytest.approx(15.0)]
    assert np.diff(full).mean() == pytest.approx(60.0, rel=0.02)


def test_full_syncs_set_the_tail_whatever_the_minimum_between_two_syncs() -> None:
    slow, quick = (waits(Pace(least, 2.0, 17.0, 60.0), SHARES) for least in (10.0, 1.0))
    assert slow[1] > 2 * quick[1]
    assert slow[3] < 1.6 * quick[3]
    assert (slow[1:] < 2 * (17.0 + 10.0)).all()


def test_rare_full_syncs_are_left_out() -> None:
    assert waits(Pace(1.0, 0.1, 3.0, 3600.0), SHARES) == pytest.approx(waits(Pace(1.0, 0.1, 0.0, inf), SHARES))
