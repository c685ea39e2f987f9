"""Questions about connections: round trips, connect-request-close, datagrams, and the CPU time they take."""

from __future__ import annotations

import math
from dataclasses import dataclass

from netsim.calibration.published.bench import LINE_RATE, Bench
from netsim.calibration.published.bulk import NEAR_LINE, Bulk, Flows, bulk_cpu, capacity
from netsim.calibration.published.case import Row
from netsim.calibration.published.quantities import Dimension
from netsim.calibration.published.question import Answer, Cost, Question
from netsim.calibration.published.setting import Setting
from netsim.calibration.published.testbed import RECEIVER, SENDER, Way, Ways
from netsim.calibration.published.unstated import farther_s
from netsim.calibration.published.waking import deep_wakes_s
from netsim.datapath.costs import Regime
from netsim.datapath.socket import held_datagrams
from netsim.datapath.types import Role

ONE_WAY_TOOLS = ("sockperf", "qperf")
"""Tools that print half of a round trip."""


def host_cpu(bench: Bench, setting: Setting, test: str, side: str) -> Cost:
    """Return CPU seconds of one host for one ``round-trip`` or ``connection`` at k = 1.

    ``side`` is the ``client``, which asks and connects, or the ``server``. A connection has ten packets: seven that
    programs have to do with and three acknowledgements; each node is interrupted four times, and its program sleeps
    twice.
    """
    subject, ways = bench.subject(setting), bench.ways(setting, surroundings(bench, setting))
    node = SENDER if side == "client" or subject.same_node else RECEIVER
    poll = 0.0 if subject.same_node else bench.figure("interrupt.poll")
    sleep = bench.figure("socket.sleep.pod") if "pod" in (subject.source, subject.target) else 0.0
    exchange = ways.forward.work(1, node=node) + ways.reply.work(1, node=node)
    if test == "round-trip":
        return Cost(exchange + poll + sleep)
    return Cost(exchange + 4 * poll + 2 * sleep + math.fsum(way.work(0, node=node) for way in without_data(ways)))


def without_data(ways: Ways) -> tuple[Way, ...]:
    """Return the ways of a connection's packets without data: SYN, SYN-ACK, ACK, two FIN and three acknowledgements."""
    forth, back = ways.bare
    return ways.first, ways.first_reply, ways.accept, *ways.close, forth, back, forth


@dataclass(frozen=True, slots=True)
class RoundTrip:
    """Request and response on an open connection: four passes and what waits between them."""

    percentile: float = 0.5
    family: str = "round-trip"
    protocol: str = "TCP"
    tail: str = "tail.round_trip"
    """The figure of how far out its 99th percentile is."""

    @property
    def kind(self) -> str:
        """Percentiles are compared with the same percentile, datagrams with datagrams; medians count as means."""
        return self._mean if self.percentile == MEDIAN else f"{self._mean}-p{100 * self.percentile:g}"

    @property
    def _mean(self) -> str:
        return self.family if self.protocol == "TCP" else f"{self.family}-{self.protocol.lower()}"

    @property
    def stands_in(self) -> str:
        """Where no baseline row has a percentile, the mean stands in; where none is of datagrams, TCP's."""
        return self._mean if self.kind != self._mean else self.family

    @property
    def calibrates(self) -> int:
        """The mean of a bare round trip is the second best measure of a machine; a datagram's crosses less of it."""
        return 0 if self.kind != self._mean or self.family != "round-trip" else 2 if self.protocol == "TCP" else 3

    def cost(self, bench: Bench, setting: Setting) -> Cost:
        """Return all work of both directions, and the waiting of both."""
        ways = bench.ways(setting, surroundings(bench, setting), self.protocol)
        size = max(1, setting.count("msg_bytes", 1))
        work = ways.forward.work(size) + ways.reply.work(size)
        waiting = ways.forward.waiting() + ways.reply.waiting() + 2 * farther_s(bench, setting)
        return Cost(work, waiting)

    def asleep(self, bench: Bench, setting: Setting) -> float:
        """Return what wakes up on both ways."""
        ways = bench.ways(setting, surroundings(bench, setting), self.protocol)
        return ways.forward.setups() + ways.reply.setups()

    def seconds(self, bench: Bench, row: Row) -> float:
        """Return the mean time of one round trip of one flow."""
        if row.quantity.dimension == "time":
            return row.quantity.si * (2 if one_way(row.setting) else 1)
        return pending(row.setting) / row.quantity.si

    def informs(self, bench: Bench, row: Row) -> bool:
        """Always."""
        return True

    def answer(self, bench: Bench, setting: Setting, seconds: float, dimension: Dimension) -> Answer:
        """Return a rate of all flows, or a time."""
        if dimension == "time":
            wide = self.kind != self._mean and not any(bench.baselines(self.kind))
            spread = bench.figure(self.tail) ** far_out(self.percentile) if wide else 1.0
            return Answer(seconds * spread / (2 if one_way(setting) else 1))
        return Answer(pending(setting) / seconds)


def pending(setting: Setting) -> int:
    """Return how many requests are on their way at once: one a flow, and netperf's ``burst`` (``-b``) besides."""
    return setting.streams * (1 + setting.count("burst", 0))


MEDIAN = 0.5


def far_out(percentile: float) -> float:
    """Return how far out a percentile is: 0 for the median, 1 for the 99th, which the cost profile has.

    Between and beyond, a time's logarithm grows with that of the share that takes longer (a Pareto tail).
    """
    return math.log((1 - percentile) / (1 - MEDIAN)) / math.log((1 - 0.99) / (1 - MEDIAN))


def surroundings(bench: Bench, setting: Setting) -> Regime:
    """Return what surrounds the work of a request and its answer.

    Between programs on one core everything stays in that core's caches, as in a hot loop: ping-pongs of two programs on
    one processor took what the parts of an inline loop add up to, within 4 % (netns).
    """
    one_core = bench.subject(setting).same_node and bench.testbed.machine.cores == 1
    return "hot_loop" if one_core else "closed_loop"


def one_way(setting: Setting) -> bool:
    """Tell whether the row's tool prints half of a round trip."""
    return any(tool in setting.text("tool").lower() for tool in ONE_WAY_TOOLS)


def protocol(row: Row) -> str:
    """Return the transport a row states, in its metric's name or its configuration."""
    told = (row.metric, *(row.setting.text(key) for key in ("protocol", "test", "tool")))
    return "UDP" if "udp" in " ".join(told).lower() else "TCP"


@dataclass(frozen=True, slots=True)
class Connection(RoundTrip):
    """Connect, one request and response, close.

    What the client waits for: SYN and its answer; the server's program, which takes the connection while the request
    comes; the response, and behind it the end of the stream, while the client reads; its own close. The other
    acknowledgements cost CPU time beside it. On one core everything waits for everything. Its new ports are of another
    queue than the last connection's, whose core may sleep deeply.
    """

    family: str = "connection"
    tail: str = "tail.connection"

    def cost(self, bench: Bench, setting: Setting) -> Cost:
        """Return the work on the way of what the client waits for, and the waiting."""
        ways = bench.ways(setting, surroundings(bench, setting))
        awake = self._awake(bench, setting, ways)
        return awake.plus(Cost(0.0, deep_wakes_s(bench, setting, awake, ways.first.route)))

    @staticmethod
    def _awake(bench: Bench, setting: Setting, ways: Ways) -> Cost:
        """Return the cost where no core sleeps deeply."""
        there, back = ways.forward, ways.reply
        size = max(1, setting.count("msg_bytes", 1))
        waiting = 2 * there.waiting() + 2 * back.waiting() + 4 * farther_s(bench, setting)
        if bench.testbed.machine.cores == 1:
            others = math.fsum(way.work(0) for way in without_data(ways))
            return Cost(there.work(size) + back.work(size) + others, waiting)
        sent, ended = ways.accept.on(Role.SENDER_CORE, 0), ways.close[1].on(Role.SENDER_CORE, 0)
        read, told = there.on(Role.RECEIVER_CORE, size), back.on(Role.SENDER_CORE, size)
        # the program takes the connection while the request comes, and closes while the answer goes
        asked = sent + max(ways.accept.work(0) - sent, there.work(size) - read) + read
        answered = told + max(ended, back.work(size) - told) + ways.close[1].work(0) - ended
        closing = ways.close[0].on(Role.SENDER_CORE, 0)
        return Cost(ways.first.work(0) + ways.first_reply.work(0) + asked + answered + closing, waiting)

    def asleep(self, bench: Bench, setting: Setting) -> float:
        """Return what wakes up on the ways that the client waits for."""
        return 2 * RoundTrip.asleep(self, bench, setting)


@dataclass(frozen=True, slots=True)
class Connect(RoundTrip):
    """Set-up of a connection as its client sees it: SYN and the answer to it, each the first packet of its flow."""

    family: str = "connect"

    def cost(self, bench: Bench, setting: Setting) -> Cost:
        """Return the work of both packets, and their waiting."""
        ways = bench.ways(setting, surroundings(bench, setting))
        work = ways.first.work(0) + ways.first_reply.work(0)
        awake = Cost(work, ways.first.waiting() + ways.first_reply.waiting() + 2 * farther_s(bench, setting))
        return awake.plus(Cost(0.0, deep_wakes_s(bench, setting, awake, ways.first.route)))


@dataclass(frozen=True, slots=True)
class HostCpu:
    """CPU time of a host for what it does: per transaction, per connection, per bit."""

    test: str
    side: str = "client"

    @property
    def calibrates(self) -> int:
        """CPU time of round trips is work alone: the best measure of a machine."""
        return 1 if self.test == "round-trip" else 0

    @property
    def kind(self) -> str:
        """CPU of one kind of work."""
        return f"cpu-{self.test}"

    def cost(self, bench: Bench, setting: Setting) -> Cost:
        """Return the host's work for one unit."""
        if self.test == "bulk":
            return bulk_cpu(bench, setting, self.side)
        return host_cpu(bench, setting, self.test, self.side)

    def _unit(self, bench: Bench, setting: Setting, dimension: Dimension) -> float:
        """Return what a published figure counts in one unit of the model's.

        CPU time is stated for bits or transactions: a burst has its bits. Busy cores, or a plain share of the machine,
        are stated for what it did meanwhile, which the model predicts too.
        """
        bits = bench.ways(setting).burst_bytes * 8.0 if self.test == "bulk" else 1.0
        if dimension == "cpu":
            return bits
        questions: dict[str, tuple[Question, Dimension]] = {
            "bulk": (Flows() if setting.streams > 1 else Bulk(), "bit_rate"),
            "round-trip": (RoundTrip(), "rate"),
            "connection": (Connection(), "rate"),
        }
        asked, of = questions[self.test]
        cores = bench.hardware.cores if dimension == "share" else 1
        return bits * cores / bench.expect(asked, setting.without("side", "test"), of).value

    def seconds(self, bench: Bench, row: Row) -> float:
        """Return CPU seconds per burst, round trip or connection."""
        return row.quantity.si * self._unit(bench, row.setting, row.quantity.dimension)

    def informs(self, bench: Bench, row: Row) -> bool:
        """Always."""
        return True

    def answer(self, bench: Bench, setting: Setting, seconds: float, dimension: Dimension) -> Answer:
        """Return CPU seconds per bit, round trip or connection, or a share of the machine."""
        return Answer(seconds / self._unit(bench, setting, dimension))


@dataclass(frozen=True, slots=True)
class Datagrams:
    """Throughput of UDP: one pass a datagram on the busiest core; a datagram above the MTU travels as fragments.

    The sending program's core also carries the packet to the card, so a plugin's hops on the way out slow it. Those on
    the way in are the softirq core's, which has time left while a program is the slowest.
    """

    kind: str = "datagrams"
    calibrates: int = 0

    def stages(self, bench: Bench, setting: Setting) -> dict[str, float]:
        """Return each core's work for one datagram, and what the sender waits for the card, in such work.

        Datagrams are their socket's until the card's interrupt says they are sent, or the way forgets whose they are.
        """
        way = bench.ways(setting, "hot_loop", "UDP").forward
        size = self._size(bench, setting)
        leaves = not bench.subject(setting).same_node and way.route.accounted
        told = bench.hardware.completions_s / held_datagrams(size) / bench.busy_factor if leaves else 0.0
        if bench.testbed.machine.cores == 1:
            return {"card": told, **{node: way.work(size, node=node) for node in (SENDER, RECEIVER)}}
        roles = (Role.SENDER_CORE, Role.VIA_CORE, Role.SOFTIRQ_CORE, Role.RECEIVER_CORE)
        return {"card": told, **{role.name: way.on(role, size) for role in roles}}

    def cost(self, bench: Bench, setting: Setting) -> Cost:
        """Return the busiest core's time for one datagram."""
        return Cost(max(self.stages(bench, setting).values()))

    @staticmethod
    def _size(bench: Bench, setting: Setting) -> int:
        return setting.count("msg_bytes", bench.ways(setting, "hot_loop", "UDP").forward.route.mss_bytes)

    def seconds(self, bench: Bench, row: Row) -> float:
        """Return one flow's time for a datagram."""
        return self._bits(bench, row.setting, row.quantity.dimension) * row.setting.streams / row.quantity.si

    def _bits(self, bench: Bench, setting: Setting, dimension: Dimension) -> float:
        """Return what one datagram counts in a figure: its bits, or one packet."""
        return 1.0 if dimension == "rate" else self._size(bench, setting) * 8.0

    def informs(self, bench: Bench, row: Row) -> bool:
        """A flow that fills the line says nothing of the hosts."""
        bits = self._size(bench, row.setting) * 8 * row.setting.streams / self.seconds(bench, row)
        return bits < NEAR_LINE * capacity(bench, row.setting, self._size(bench, row.setting))

    def answer(self, bench: Bench, setting: Setting, seconds: float, dimension: Dimension) -> Answer:
        """Return bits or datagrams a second, up to the line."""
        per_bit = self._bits(bench, setting, dimension) / (self._size(bench, setting) * 8)
        limit = per_bit * capacity(bench, setting, self._size(bench, setting))
        all_flows = self._bits(bench, setting, dimension) * setting.streams / seconds
        rate = min(all_flows, per_bit * self._tunnel_limit(bench, setting))
        return Answer(min(rate, limit), rate >= limit, LINE_RATE if rate >= limit else "")

    def _tunnel_limit(self, bench: Bench, setting: Setting) -> float:
        """Return the bits a second of the one core that has all flows of a tunnel whose packets look like one flow."""
        way = bench.ways(setting, "hot_loop", "UDP").forward
        if not way.route.paired:
            return math.inf
        size = self._size(bench, setting)
        return size * 8 / (bench.busy_factor * way.on(Role.SOFTIRQ_CORE, size))
