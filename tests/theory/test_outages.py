"""Stations that fail against brute force, at random times: equal to the last bit.

Links against a packet at a time; cores against a simulation that goes from event to event.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from functools import partial
from math import inf

import pytest
from brute_force import Job, preemptive

from netsim.engine.background.background import BackgroundCore, BackgroundLink
from netsim.engine.background.jobs import Arrivals, Draws, Profile, Source
from netsim.engine.background.pacing import AT_ONCE
from netsim.engine.queueing.audit import audit
from netsim.engine.queueing.burst import Burst, Notice, deliver
from netsim.engine.queueing.clock import Clock
from netsim.engine.queueing.grid import TICK_S, on_grid
from netsim.engine.queueing.outages import Cable, Guard, Outage, Seat, abandon, halt, wipe
from netsim.engine.queueing.stations import Core, CoreCharge, Link, LinkCharge
from netsim.engine.randomness.streams import Streams

SEEDS = range(40)

# ---------------------------------------------------------------------------------------------------- links

PACKETS_S = on_grid(1e-6), on_grid(1.7e-6)
WIRE_S = on_grid(0.4e-6), on_grid(2.3e-6)


class Divisible(Burst):
    """A burst that can be cut: notes what it lost, and when."""

    __slots__ = ("lost_segments", "segments")

    def __init__(self, clock: Clock, legs: tuple[object, ...], segments: int, done: Callable[[float], None]) -> None:
        self.segments = segments
        self.lost_segments: list[tuple[float, int]] = []
        super().__init__(clock, legs, self.bill(segments), segments, done)  # type: ignore[arg-type]

    @staticmethod
    def bill(segments: int) -> tuple[LinkCharge | None, ...]:
        first, second = PACKETS_S
        return (
            LinkCharge(segments * first, first, 0.0, WIRE_S[0], inf, False),
            LinkCharge(segments * second, second, 0.0, WIRE_S[1], inf, True),
            None,
        )

    def shrink(self, segments: int, now: float) -> bool:
        if segments >= self.segments:
            return False
        self.lost_segments.append((now, self.segments - segments))
        self.segments, self.charges = segments, self.bill(segments)
        return True

    def lose(self, now: float) -> None:
        self.lost_segments.append((now, self.segments))
        self.segments = 0


def packet_by_packet(
    bursts: list[tuple[float, int]], outages: tuple[Outage, Outage]
) -> list[tuple[int, float | None, list[tuple[float, int]]]]:
    """Return what of each burst arrives behind two links, when its last packet does, and what is lost when."""
    packets = [(born, index) for index, (born, segments) in enumerate(bursts) for _ in range(segments)]
    lost: list[dict[float, int]] = [{} for _ in bursts]
    for packet_s, wire_s, (since, until) in zip(PACKETS_S, WIRE_S, outages, strict=True):
        free, passed = 0.0, []
        broken: dict[int, float] = {}
        for arrived, index in packets:
            if index not in broken and since <= arrived < until:
                broken[index] = arrived
            if index not in broken and arrived < since < max(free, arrived) + packet_s + wire_s:
                broken[index] = since
            if index in broken:  # what follows a lost packet of a burst is lost with it
                lost[index][broken[index]] = lost[index].get(broken[index], 0) + 1
                continue
            free = max(free, arrived) + packet_s
            passed.append((free + wire_s, index))
        packets = passed
    return [
        (
            sum(index == each for _, index in packets),
            max((time for time, index in packets if index == each), default=None),
            sorted(lost[each].items()),
        )
        for each in range(len(bursts))
    ]


@pytest.mark.parametrize("seed", SEEDS)
def test_a_cut_cable_loses_what_is_not_across(seed: int) -> None:
    rng = random.Random(seed)
    now, bursts = 0.0, []
    for _ in range(120):
        now += on_grid(rng.expovariate(0.09e6))
        bursts.append((now, rng.choice((1, 2, 7, 20))))
    since = on_grid(rng.uniform(0.2, 0.7) * now)
    outage = Outage(since, since + on_grid(rng.uniform(0.0, 0.3) * now))
    failing = rng.randrange(2)
    outages = (outage, Outage(inf, inf)) if failing == 0 else (Outage(inf, inf), outage)
    clock, links = Clock(), (Link("first"), Link("second"))
    legs = (*(Cable(link, [each]).carry for link, each in zip(links, outages, strict=True)), deliver)
    found: list[Divisible] = [None] * len(bursts)  # type: ignore[list-item]
    ended: list[float | None] = [None] * len(bursts)

    def launch(index: int, at: float) -> None:
        found[index] = Divisible(clock, legs, bursts[index][1], lambda done: ended.__setitem__(index, done))

    for index, (born, _) in enumerate(bursts):
        Notice(clock, born, partial(launch, index))
    clock.run()
    expected = packet_by_packet(bursts, outages)
    assert any(lost for _, _, lost in expected)
    for index, (across, tail, _) in enumerate(expected):
        assert (found[index].segments, ended[index]) == (across, tail)
        assert sum(count for _, count in found[index].lost_segments) == bursts[index][1] - across
    if failing == 0:
        assert [each.lost_segments for each in found] == [lost for _, _, lost in expected]
    audit(clock, links)


def test_a_burst_that_cannot_be_divided_is_lost_whole_when_the_cable_is_cut() -> None:
    clock, link = Clock(), Link("link")
    lost: list[float] = []
    charge = LinkCharge(10 * TICK_S, 5 * TICK_S, 0.0, 2 * TICK_S)
    cable = Cable(link, [Outage(11 * TICK_S, 40 * TICK_S)])
    for _ in range(2):
        Burst(clock, (cable.carry, deliver), (charge, None), 1, lost=lost.append)
    clock.run()
    assert lost == [11 * TICK_S, 11 * TICK_S]
    assert (link.arrived, link.dropped, link.busy_s) == (0, 2, 11 * TICK_S)
    assert clock.now == 11 * TICK_S


# ---------------------------------------------------------------------------------------------------- cores


def jobs_of(rng: random.Random, count: int = 250) -> list[Job]:
    now, jobs = TICK_S, []
    for _ in range(count):
        now += on_grid(rng.expovariate(0.45e6))
        jobs.append((now, rng.random() < 0.5, on_grid(rng.choice((0.5e-6, 1e-6, 6e-6)))))
    return jobs


def played(
    jobs: list[Job], core: Core, clock: Clock, legs: Callable[[int, bool], object]
) -> tuple[list[float | None], list[float | None]]:
    """Send jobs through a core; return when each is done and when it is lost."""
    done: list[float | None] = [None] * len(jobs)
    lost: list[float | None] = [None] * len(jobs)

    def launch(index: int, at: float) -> None:
        _, urgent, work = jobs[index]
        Burst(
            clock, (legs(index, urgent), deliver), (CoreCharge(work), None), 0,  # type: ignore[arg-type]
            lambda end: done.__setitem__(index, end), lambda end: lost.__setitem__(index, end),
        )  # fmt: skip

    for index, (born, _, _) in enumerate(jobs):
        Notice(clock, born, partial(launch, index))
    clock.run()
    audit(clock, [core])
    assert core.sojourn_s == core.occupancy_s
    return done, lost


@pytest.mark.parametrize("seed", SEEDS)
def test_a_lost_machine_loses_what_its_cores_were_at(seed: int) -> None:
    rng = random.Random(seed)
    jobs = jobs_of(rng)
    since = on_grid(rng.uniform(0.1, 0.9) * jobs[-1][0])
    until = since + on_grid(rng.uniform(0.0, 0.1) * jobs[-1][0])
    clock, core = Clock(), Core("core")
    outage = Outage(since, until)

    def strike(now: float) -> None:
        wipe(clock, [core], now)
        halt(core, now, until)

    Notice(clock, since, strike)
    guards = {urgent: Guard(leg, core, [outage]).serve for urgent, leg in ((True, core.softirq), (False, core.thread))}
    done, lost = played(jobs, core, clock, lambda index, urgent: guards[urgent])
    meanwhile = [n for n, (born, _, _) in enumerate(jobs) if since <= born < until]
    before = [job for job in jobs if job[0] < since]
    after = [job for job in jobs if job[0] >= until]
    expected = [None if end is None or end > since else end for end in preemptive(before)]
    assert done == [*expected, *(None for _ in meanwhile), *preemptive(after)]
    assert [n for n, end in enumerate(done) if end is None] == [n for n, end in enumerate(lost) if end is not None]
    assert all(lost[n] == since for n in range(len(before)) if done[n] is None)
    worked = sum(work for (_, _, work), end in zip(jobs, done, strict=True) if end is not None)
    present = [n for n in range(len(before)) if done[n] is None]
    assert worked <= core.busy_s <= worked + sum(jobs[n][2] for n in present)


@pytest.mark.parametrize("seed", SEEDS)
def test_a_crashed_process_leaves_its_core_to_the_others(seed: int) -> None:
    rng = random.Random(seed)
    jobs = jobs_of(rng)
    instant = on_grid(rng.uniform(0.1, 0.9) * jobs[-1][0])
    if any(born == instant for born, _, _ in jobs):
        instant += TICK_S
    mine = frozenset(n for n, (_, urgent, _) in enumerate(jobs) if not urgent and rng.random() < 0.4)
    clock, core = Clock(), Core("core")
    seat = Seat(core.thread, core, [Outage(instant, inf)])
    Notice(clock, instant, lambda now: abandon(clock, core, seat.holds, now))

    def leg(index: int, urgent: bool) -> object:
        return core.softirq if urgent else seat.thread if index in mine else core.thread

    done, lost = played(jobs, core, clock, leg)
    expected = preemptive(jobs, (instant, mine))
    assert done == expected
    assert [end is None for end in lost] == [end is not None for end in expected]
    undone = sum(jobs[n][2] for n, end in enumerate(expected) if end is None)
    assert core.busy_s <= sum(work for _, _, work in jobs)
    assert core.busy_s >= sum(work for _, _, work in jobs) - undone


# ---------------------------------------------------------------------------------------------------- background


@pytest.mark.parametrize("looks", [1, 50])
def test_background_work_stays_away_during_an_outage_and_is_applied_up_to_it(looks: int) -> None:
    """However often the station is looked at: the profile's load outside the outage, nothing within."""
    clock = Clock()
    urgent = (((0.0, on_grid(1e-5), 0),), AT_ONCE, 30_000.0)
    threads = (((0.0, on_grid(2e-5), 0),), AT_ONCE, 10_000.0)
    profile = Profile([Arrivals.of([urgent]), Arrivals.of([threads])])
    core = BackgroundCore("core", clock, Source(Draws(Streams(1)), 1, profile))
    link = BackgroundLink("link", Source(Draws(Streams(2)), 1, profile))
    busy: dict[str, list[float]] = {"core": [], "link": []}

    def strike(now: float) -> None:
        for station in (core, link):
            halt(station, now, 3.0)
            assert station.free_s <= now
            busy[station.name].append(station.busy_s)

    def look(now: float) -> None:
        for station in (core, link):
            station.catch_up(now)

    Notice(clock, 2.0, strike)
    for step in range(1, looks + 1):
        Notice(clock, 3.0 * step / looks, look)
    clock.run()
    for station in (core, link):
        assert busy[station.name][0] == pytest.approx(2.0 * profile.load, rel=0.05)
        assert station.busy_s == busy[station.name][0]
        station.catch_up(5.0)
        assert station.busy_s - busy[station.name][0] == pytest.approx(2.0 * profile.load, rel=0.05)
