"""Stations, one at a time."""

from __future__ import annotations

from math import inf

import pytest

from netsim.engine.queueing.audit import EngineError, audit
from netsim.engine.queueing.burst import Burst, Notice, deliver
from netsim.engine.queueing.clock import Clock
from netsim.engine.queueing.grid import TICK_S, on_grid
from netsim.engine.queueing.stations import Core, CoreCharge, Link, LinkCharge, Pool, TokenBucket

US = on_grid(1e-6)


def send(clock: Clock, legs: list[object], charges: list[object], at: float, *, size: int = 1) -> list[float]:
    """Launch a burst at a time; the list gets the time at which it is through (nothing when it is lost)."""
    done: list[float] = []
    Notice(clock, at, lambda now: Burst(clock, [*legs, deliver], [*charges, None], size, done.append) and None)
    return done


def test_an_idle_core_is_woken_first_and_others_queue_behind() -> None:
    clock, core = Clock(), Core("core")
    charge = CoreCharge(3 * US, setup_s=US)
    first = send(clock, [core.thread], [charge], US)
    second = send(clock, [core.thread], [charge], 2 * US)
    clock.run()
    assert first == [5 * US]
    assert second == [8 * US]
    assert core.busy_s == 6 * US


def test_an_idle_core_has_work_besides_that_delays_nobody() -> None:
    clock, core = Clock(), Core("core")
    interrupt, message = CoreCharge(US, 2 * US, idle_s=US), CoreCharge(3 * US, US, idle_s=4 * US)
    raised = send(clock, [core.softirq], [interrupt], 100 * US)
    slept = send(clock, [core.thread], [message], 200 * US)
    queued = send(clock, [core.thread], [message], 201 * US)
    soon = send(clock, [core.thread], [message], 209 * US)
    clock.run()
    assert (raised, slept, queued, soon) == ([103 * US], [204 * US], [207 * US], [213 * US])
    assert core.busy_s == (1 + 1) * US + (3 + 4) * US + 3 * US + (3 + 2) * US  # the last one cuts the sleep short
    audit(clock, [core])


def test_a_running_thread_goes_on_before_waiting_ones() -> None:
    clock, core = Clock(), Core("core")
    work, ends = CoreCharge(2 * US), []
    Burst(
        clock, [core.thread, deliver], [work, None], 0,
        lambda now: Burst(clock, [core.thread, deliver], [work, None], 0, ends.append) and None,
    )  # fmt: skip
    waiting = send(clock, [core.thread], [work], US)
    clock.run()
    assert ends == [4 * US]
    assert waiting == [6 * US]
    audit(clock, [core])


def test_receive_livelock() -> None:
    """Interrupts at more than a core's capacity leave nothing for threads; below it threads get the rest."""
    for load, served in ((0.5, True), (1.2, False)):
        clock, core = Clock(), Core("core")
        gap = on_grid(1e-6 / load)
        for number in range(2000):
            send(clock, [core.softirq], [CoreCharge(US)], number * gap)
        thread = send(clock, [core.thread], [CoreCharge(10 * US)], gap)
        clock.run(until=1900 * gap)
        assert bool(thread) is served


def test_a_full_ring_drops() -> None:
    clock, core = Clock(), Core("core")
    done = [send(clock, [core.softirq], [CoreCharge(US, limit_s=4 * US)], 0.0) for _ in range(8)]
    clock.run()
    assert sum(map(len, done)) == 5
    assert core.dropped == 3


def test_links_forward_the_head_before_the_tail_has_arrived() -> None:
    """Three links of equal rate: one burst time and two packet times, not three burst times."""
    clock, links = Clock(), [Link(str(n)) for n in range(3)]
    through, last = LinkCharge(10 * US, US, whole=False), LinkCharge(10 * US, US)
    done = send(clock, [link.carry for link in links], [through, through, last], 0.0)
    clock.run()
    assert done == [12 * US]


def test_a_slow_link_behind_a_fast_one_takes_its_own_time() -> None:
    clock, fast, slow = Clock(), Link("fast"), Link("slow")
    charges = [LinkCharge(10 * US, US, whole=False), LinkCharge(40 * US, 4 * US)]
    done = send(clock, [fast.carry, slow.carry], charges, 0.0)
    clock.run()
    assert done == [41 * US]


def test_slow_links_share_a_fast_one_packet_by_packet() -> None:
    """Four bursts that come in side by side at a quarter of the rate leave side by side, not one after the other."""
    clock, fast = Clock(), Link("fast")
    slow = [Link(str(n)) for n in range(4)]
    charges = [LinkCharge(40 * US, 4 * US, whole=False), LinkCharge(10 * US, US)]
    done = [send(clock, [link.carry, fast.carry], charges, 0.0) for link in slow]
    clock.run()
    assert all(times[0] <= 45 * US for times in done)
    assert fast.busy_s == 40 * US
    audit(clock, [fast, *slow])


def test_a_shallow_buffer_drops_an_incast() -> None:
    clock, port = Clock(), Link("port")
    charge = LinkCharge(10 * US, US, limit_s=25 * US)
    done = [send(clock, [port.carry], [charge], 0.0) for _ in range(5)]
    clock.run()
    assert sum(map(len, done)) == 2
    assert port.dropped == 3
    audit(clock, [port])


def test_a_pool_serves_as_many_as_it_has_workers() -> None:
    clock, pool = Clock(), Pool(2, "pool")
    done = [send(clock, [pool.serve], [CoreCharge(4 * US)], 0.0) for _ in range(3)]
    clock.run()
    assert [times[0] for times in done] == [4 * US, 4 * US, 8 * US]


def test_a_token_bucket_lets_its_depth_through_at_once() -> None:
    clock, bucket = Clock(), TokenBucket(8e6, 3000, "bucket")
    charge = CoreCharge(on_grid(1e-3))  # 1000 bytes at 1 MB/s
    done = [send(clock, [bucket.shape], [charge], 0.01) for _ in range(5)]
    clock.run()
    assert [round(times[0] - 0.01, 6) for times in done] == [0.0, 0.0, 0.0, 1e-3, 2e-3]


def test_a_token_bucket_drops_what_would_wait_too_long_or_finds_too_many() -> None:
    charge = CoreCharge(on_grid(1e-3))
    for limits, served in (({"queue_s": 2.5e-3}, 5), ({"buffers": 4}, 4 + 3), ({}, 10)):
        clock, bucket = Clock(), TokenBucket(8e6, 3000, "bucket", **limits)
        bucket.fill()
        done = [send(clock, [bucket.shape], [charge], 0.01) for _ in range(10)]
        clock.run()
        assert sum(map(len, done)) == served
        assert bucket.dropped == 10 - served
        audit(clock, [bucket])


def test_the_audit_finds_a_burst_that_vanished() -> None:
    clock, core = Clock(), Core("core")
    send(clock, [core.thread], [CoreCharge(US)], 0.0)
    clock.run()
    audit(clock, [core])
    core.book.left -= 1
    with pytest.raises(EngineError, match="core: 1 bursts arrived, 0 left"):
        audit(clock, [core])


def test_the_audit_finds_a_broken_sojourn() -> None:
    clock, core = Clock(), Core("core")
    send(clock, [core.thread], [CoreCharge(US)], 0.0)
    clock.run()
    core.sojourn_s += 0.01
    with pytest.raises(EngineError, match="Little"):
        audit(clock, [core])


def test_the_audit_counts_what_is_still_inside() -> None:
    clock, core = Clock(), Core("core")
    send(clock, [core.thread], [CoreCharge(1.0)], 0.0)
    clock.run(until=0.5)
    assert audit(clock, [core]) == 1


def test_the_grid_holds_sums_exactly() -> None:
    step = on_grid(0.1e-6)
    assert step % TICK_S == 0.0
    assert sum([step] * 100_000) == step * 100_000


def test_ordinary_processes_share_the_clock() -> None:
    clock, core = Clock(), Core("core")
    seen: list[tuple[str, float]] = []

    def process() -> object:
        yield clock.timeout(3 * US)
        seen.append(("process", clock.now))
        yield clock.timeout(4 * US)
        seen.append(("process", clock.now))

    clock.process(process())
    done = send(clock, [core.thread], [CoreCharge(5 * US)], 0.0)
    clock.run()
    assert seen == [("process", 3 * US), ("process", 7 * US)]
    assert done == [5 * US]


def test_running_until_a_time_or_an_event() -> None:
    clock = Clock()
    with pytest.raises(ValueError, match="must be greater"):
        clock.run(until=0.0)
    assert clock.run(until=clock.timeout(2.0, value="there")) == "there"
    assert clock.now == 2.0
    with pytest.raises(RuntimeError, match="not triggered"):
        clock.run(until=clock.event())


def test_the_loop_does_what_a_burst_does_by_itself() -> None:
    """Step by step, where every burst's `advance` is called, times, books and traces are those of a run at once."""

    def played(*, stepwise: bool) -> tuple[object, ...]:
        clock, core, link = Clock(), Core("core"), Link("link")
        clock.trace = clock.origin = []
        work, wire = CoreCharge(3 * US, setup_s=US), LinkCharge(2 * US, US)
        done = [send(clock, [core.thread, link.carry], [work, wire], n * US) for n in range(6)]
        done += [send(clock, [core.softirq], [CoreCharge(US)], (3 * n + 2) * US) for n in range(4)]
        while stepwise and clock.peek() < inf:
            clock.step()
        clock.run()
        audit(clock, [core, link])
        books = [(each.arrived, each.left, each.busy_s, each.sojourn_s, each.occupancy_s) for each in (core, link)]
        return done, books, clock.trace, clock.now

    assert played(stepwise=True) == played(stepwise=False)
