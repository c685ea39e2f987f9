"""What holds a TCP sender back: send buffer, small queue, slow readers. Figures are Linux's."""

from __future__ import annotations

from collections.abc import Sequence
from math import inf

import pytest
from engine_parts import MSS, Pair, route

from netsim.datapath.types import Pass, Role, Route
from netsim.engine.pricing import Limits, Tariff
from netsim.engine.queueing.audit import audit
from netsim.engine.queueing.burst import Burst, deliver
from netsim.engine.queueing.clock import Clock
from netsim.engine.queueing.stations import Core, Link
from netsim.engine.queueing.tracing import RECEIVE_WINDOW, SEND_BUFFER, SMALL_QUEUE
from netsim.engine.transport.backpressure import Reader, SendBuffer, small_queue_bytes
from netsim.engine.transport.tcp import READS_AT_ONCE, Connection, Reads, TcpSettings
from netsim.engine.transport.ways import Way

KIB, MIB = 1024, 1024 * 1024
GBIT = 1e9


def opened(pair: Pair, reads: Reads = READS_AT_ONCE) -> Connection:
    connection = pair.connect()
    connection.reads = reads
    connection.connect(lambda now: None)
    pair.clock.run()
    return connection


# ---------------------------------------------------------------------------------------------- send buffer


@pytest.mark.parametrize(
    ("window", "memory"), [(0, 87_040), (10 * 1448, 87_040), (20 * 1448, 174_080), (10_000 * 1448, 4 * MIB)]
)  # fmt: skip
def test_the_send_buffer_grows_with_the_window(window: int, memory: int) -> None:
    """A new connection's is 87,040 bytes, as ``ss -m`` shows (tb87040): 2 x 10 segments of 4096 + 256 bytes."""
    buffer = SendBuffer(65_160, 1448, 4 * MIB)
    buffer.grow(window)
    assert buffer.bytes == memory
    buffer.grow(0)
    assert buffer.bytes == memory


def grown(most_bytes: int) -> SendBuffer:
    buffer = SendBuffer(60_000, 1000, most_bytes)
    buffer.grow(1e9)
    return buffer


@pytest.mark.parametrize(("memory", "payload"), [(4096, 60_000), (61_280, 60_000), (61_281, 120_000)])
def test_a_buffer_more_is_begun_while_there_is_memory(memory: int, payload: int) -> None:
    assert grown(memory).capacity == payload


def test_a_writer_is_woken_when_a_third_is_free() -> None:
    buffer = grown(60_000)
    assert buffer.writable(39_000)  # with its overhead less than 40,000 bytes
    assert not buffer.writable(40_000)


def test_a_small_send_buffer_bounds_a_stream() -> None:
    """One buffer of 60 kB a round trip of 10 ms: it is not begun before all of the last one is acknowledged."""
    pair = Pair(
        route(rate_bps=8e12, latency_s=5e-3), settings=TcpSettings(send_buffer_bytes=32 * KIB, initial_window=64)
    )
    half = opened(pair).outgoing
    half.stream()
    pair.clock.run(until=pair.clock.now + 2.0)
    half.stop()
    assert half.delivered / 2.0 == pytest.approx(60_000 / 10e-3, rel=0.03)
    assert half.stalls.seconds[SEND_BUFFER] == pytest.approx(2.0, rel=0.05)


def test_a_sleeping_writer_needs_its_core_again() -> None:
    """Another thread's work of 3 ms on the sender's core comes before the second buffer, as it came first."""
    pair = Pair(
        route(rate_bps=8e12, latency_s=5e-3), settings=TcpSettings(send_buffer_bytes=32 * KIB, initial_window=64)
    )
    connection = opened(pair)
    there: list[float] = []
    began = pair.clock.now
    connection.request(120_000, there.append)
    core = connection.forth.legs[0].__self__  # type: ignore[attr-defined]
    pair.clock.run(until=began + 9e-3)
    Burst(pair.clock, (core.thread, deliver), ((3e-3, 0.0, 0.0, inf, 0.0), None))
    pair.clock.run()
    assert there[0] - began == pytest.approx(12e-3 + 5e-3, rel=0.01)


# ---------------------------------------------------------------------------------------------- small queue


@pytest.mark.parametrize(
    ("window", "rtt_s", "limit"),
    [
        (15_000, 0.0, 2 * 61_280),  # nothing measured: two buffers
        (15_000, 1e-3, 2 * 61_280),
        (1_024_000, 1e-3, 1_200_000),  # 1.2 x 1.024 MB / ms, a 1024th of a second of it
        (512_000, 1e-3, 1_200_000 * 0.5),
    ],
)
def test_two_buffers_or_a_millisecond(window: float, rtt_s: float, limit: float) -> None:
    assert small_queue_bytes(window, window, rtt_s, 60_000, 4 * MIB) == pytest.approx(limit)
    starting = limit if limit == 2 * 61_280 else limit / 1.2 * 2.0
    assert small_queue_bytes(window, inf, rtt_s, 60_000, 4 * MIB) == pytest.approx(starting)
    assert small_queue_bytes(window, inf, rtt_s, 60_000, 100_000) == 100_000


class Node:
    """Streams of one node that share its link, each with cores of its own."""

    def __init__(self, *, accounted: bool, rate_bps: float = GBIT, latency_s: float = 50e-6) -> None:
        byte_s = 8.0 / rate_bps
        passes = (
            Pass(Role.SENDER_CORE, 1e-6),
            Pass(Role.SENDER_LINK, 60 * byte_s, byte_s, latency_s=latency_s, packet_s=MSS * byte_s, pipelined=True),
            Pass(Role.RECEIVER_CORE, 1e-6),
        )
        self.tariff = Tariff(Route(passes, MSS, 60_000, accounted=accounted), Limits())
        self.clock = Clock()
        self.link, self.back = Link("up"), Link("back")
        self.stations: list[Core] = []

    def connect(self) -> Connection:
        """Open a connection from the node."""
        cores = Core("here"), Core("there")
        self.stations += cores
        ways = []
        for ends, link in ((cores, self.link), (cores[::-1], self.back)):
            legs: list[object] = [None] * (len(Role) + 2)
            legs[Role.SENDER_CORE], legs[Role.SENDER_LINK] = ends[0].thread, link.carry
            legs[Role.RECEIVER_CORE], legs[-1] = ends[1].thread, deliver
            ways.append(Way(self.clock, legs, self.tariff, self.tariff))
        made = Connection(ways[0], ways[1], TcpSettings())
        made.connect(lambda now: None)
        self.clock.run(until=self.clock.now + 1e-3)
        return made

    def ahead_s(self, seconds: float) -> float:
        """Return the most work that waits for the link during so much time."""
        most, until = 0.0, self.clock.now + seconds
        while self.clock.now < until:
            self.clock.run(until=self.clock.now + 1e-4)
            most = max(most, self.link.free_s - self.clock.now)
        return most


def test_a_bulk_sender_queues_a_millisecond_and_not_its_window() -> None:
    """3 MiB of window at 1 Gbit/s are 25 ms; 2^-10 s at 1.2 times window by round trip keep the line as busy.

    Of the window at least half is used (else it would not grow), so that is 1.2 to 2.4 ms, in
    whole buffers of half a millisecond.
    """
    queued, rates = [], []
    for accounted in (False, True):
        node = Node(accounted=accounted)
        half = node.connect().outgoing
        half.stream()
        node.clock.run(until=0.1)
        half.control.lost(node.clock.now)  # out of slow start, in which the pacing rate is twice that
        node.clock.run(until=0.3)
        before = half.delivered
        queued.append(node.ahead_s(0.2))
        rates.append(8.0 * (half.delivered - before) / 0.2)
        half.stop()
        assert (SMALL_QUEUE in half.stalls.seconds) is accounted
        node.clock.run()
        assert audit(node.clock, [node.link, node.back, *node.stations]) == 4
    assert queued[0] == pytest.approx(3 * MIB * 8 / GBIT, rel=0.1)
    assert 1.2e-3 < queued[1] < 4.0e-3
    assert rates == pytest.approx([1e9, 1e9], rel=0.01)


def test_small_messages_know_nothing_of_small_queues() -> None:
    events = []
    for accounted in (False, True):
        node = Node(accounted=accounted)
        connection = node.connect()
        there: list[float] = []
        connection.request(10_000, there.append)
        node.clock.run()
        events.append((node.link.arrived, there))
        assert connection._forth is None
    assert events[0] == events[1]


def test_what_is_lost_in_the_node_leaves_the_small_queue() -> None:
    node = Node(accounted=True)
    half = node.connect().outgoing
    queue = half.queue
    assert queue is not None
    keep, lost = queue._leg, [3]

    def losing(burst: Burst, now: float, charge: Sequence[float]) -> float | None:
        if lost[0] and burst.size:
            lost[0] -= 1
            burst.lose(now)
            return None
        return keep(burst, now, charge)

    queue._leg = losing
    arrived: list[float] = []
    half.send(2_000_000, arrived.append)
    node.clock.run()
    assert len(arrived) == 1
    assert not queue.holds_up(0.0, node.clock.now)
    assert queue.bytes == 0


# ---------------------------------------------------------------------------------------------- readers


def test_a_slow_reader_sets_the_pace() -> None:
    """100 Mbit/s of a line of 8 Gbit/s; the message is with the application when it has read it."""
    pair = Pair(settings=TcpSettings(receive_window_bytes=MIB))
    connection = opened(pair, Reads(request_bps=1e8))
    began, there = pair.clock.now, []
    connection.request(10_000_000, there.append)
    pair.clock.run()
    assert there[0] - began == pytest.approx(8e7 / 1e8, rel=0.001)
    assert connection.outgoing.stalls.seconds[RECEIVE_WINDOW] > 0.5
    assert connection.outgoing.timeouts == 0


def test_no_more_is_under_way_than_the_receiver_has_room_for() -> None:
    pair = Pair(settings=TcpSettings(receive_window_bytes=200 * KIB))
    half = opened(pair, Reads(request_bps=1e7)).outgoing
    half.stream()
    most = 0
    for _ in range(2000):
        pair.clock.run(until=pair.clock.now + 1e-3)
        assert half._reader is not None
        most = max(most, half._reader.unread)
        assert half._next - half._received + half._reader.unread <= 200 * KIB
    assert most > 100 * KIB
    assert half.delivered * 8 / 2.0 == pytest.approx(1e7, rel=0.2)


def test_windows_are_told_closed_and_opened_as_linux_does() -> None:
    reader = Reader(8e6, 160_000, 1000)  # a byte a microsecond
    assert reader.take(100_000, 1.0) == (1.0, pytest.approx(1.1))
    start, _ = reader.take(155_000, 1.0)
    assert start == pytest.approx(1.1)
    reader.unread += 155_000
    assert reader.tell(155_000, 0) == 160_000  # 5,000 free are less than a sixteenth: closed, but never shrunk
    assert not reader.reopens(155_000, 0)
    reader.unread -= 7_000
    assert reader.reopens(155_000, 0)  # 12,000 free: more than twice the 5,000 the sender knows of
    assert reader.tell(155_000, 0) == 167_000
    assert not reader.reopens(155_000, 0)


def test_a_lost_window_update_is_found_by_a_probe() -> None:
    """The update comes when 100 kB have been read at 1 Mbit/s, the probes 0.2, 0.6, 1.4 s after the window closed."""
    pair = Pair(settings=TcpSettings(receive_window_bytes=100 * KIB))
    connection = opened(pair, Reads(request_bps=1e6))
    half, back = connection.outgoing, connection.back
    leg = back.legs[1]
    deaf = [False]

    def lossy(burst: Burst, now: float, charge: Sequence[float]) -> float | None:
        if deaf[0]:
            burst.lose(now)
            return None
        return leg(burst, now, charge)

    back.legs = (back.legs[0], lossy, *back.legs[2:])
    there: list[float] = []
    began = pair.clock.now
    connection.request(180_000, there.append)
    pair.clock.run(until=began + 0.05)
    assert half._next == half._una
    assert half._hindrance is RECEIVE_WINDOW
    deaf[0] = True
    pair.clock.run(until=began + 1.0)
    deaf[0] = False
    pair.clock.run()
    assert len(there) == 1
    assert half.delivered == 180_000
    assert there[0] - began == pytest.approx(1.4 + 8e-6 * 78_000, rel=0.05)


def test_who_reads_at_once_has_no_reader() -> None:
    connection = opened(Pair(), Reads(response_bps=1e9))
    assert connection.outgoing._reader is None
    assert connection.incoming._reader is not None
