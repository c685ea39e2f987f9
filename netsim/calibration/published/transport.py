"""Questions about connections: bulk, round trips, connect-request-close, and the CPU time they take."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

from netsim.calibration.published.bench import Answer, Bench, Cost, Question
from netsim.calibration.published.case import Row
from netsim.calibration.published.hardware import VIRTUAL_BPS
from netsim.calibration.published.quantities import Dimension
from netsim.calibration.published.setting import Setting
from netsim.calibration.published.testbed import RECEIVER, SENDER, SOCKETS, Ways
from netsim.datapath.costs import Regime
from netsim.datapath.link import FRAMING_BYTES
from netsim.datapath.types import Packet, Role

TIMESTAMPS = 12
"""TCP's timestamp option (RFC 7323), in every segment of a Linux sender."""
NEAR_LINE = 0.9
"""A measured rate from here on, as a fraction of the line's goodput, says nothing of the hosts."""
TAIL = 0.95
"""Percentiles from here on are tails: the spread of round trips without queueing is in the cost profile."""
ONE_WAY_TOOLS = ("sockperf", "qperf")
"""Tools that print half of a round trip."""


def goodput(bench: Bench, ways: Ways) -> float:
    """Return the payload bits a second that fit on the line: payload, headers, tunnel and framing of a full segment."""
    mss = ways.forward.route.mss_bytes - TIMESTAMPS
    packet = Packet(first=False, reply=False)
    headers = max(before.header_bytes for _, before, _ in ways.forward.path.trace(packet))
    return bench.testbed.machine.nic_bps * mss / (mss + TIMESTAMPS + headers + FRAMING_BYTES)


def capacity(bench: Bench, setting: Setting) -> float:
    """Return the goodput of the line between two hosts; within one there is none to fill."""
    if bench.subject(setting).same_node:
        return math.inf
    return goodput(bench, bench.ways(setting, "hot_loop"))


@dataclass(frozen=True, slots=True)
class Bulk:
    """Throughput of long flows: one burst of 64 KiB on the busiest core, and its acknowledgements.

    The cores are the sender's and the receiver's programs, the receiver's softirq core and, behind a gateway, its. With
    one core a host does everything on it. Acknowledgements are made in softirq context: one for each buffer that
    reaches the receiver whole, else one for two segments (RFC 5681).
    """

    kind: str = "bulk"
    calibrates: int = 0
    per_core: bool = False
    """The metric is a rate divided by the use of the busiest host."""

    def cores(self, bench: Bench, setting: Setting) -> dict[str, float]:
        """Return seconds for one burst by core."""
        ways = bench.ways(setting, "hot_loop")
        size = ways.burst_bytes
        pieces = merged_buffers(bench, setting)
        acks = acknowledgements(ways, size, pieces)
        there, back = ways.forward, ways.reply
        ack_out = back.on(Role.SENDER_CORE, 1, skip=SOCKETS)
        ack_in = back.on(Role.SOFTIRQ_CORE, 1)
        app_send = there.on(Role.SENDER_CORE, size)
        softirq = there.on(Role.SOFTIRQ_CORE, size, pieces=pieces) + acks * ack_out
        app_receive = there.on(Role.RECEIVER_CORE, size)
        gateway = there.on(Role.VIA_CORE, size, pieces=pieces)
        if bench.subject(setting).same_node:
            # the sender's core carries the packet up to the receiver's queue
            if bench.testbed.machine.cores == 1:
                return {"both": app_send + app_receive + acks * ack_out}
            return {"sender": app_send, "receiver": app_receive + acks * ack_out}
        if bench.testbed.machine.cores == 1:
            return {"sender": app_send + acks * ack_in, "receiver": softirq + app_receive, "gateway": gateway}
        if steered(setting):
            near = 1 / bench.figure("regime.remote_cache")
            return {"sender": app_send, "receiver": (softirq + app_receive) * near, "gateway": gateway}
        return {"sender": app_send, "softirq": softirq, "receiver": app_receive, "gateway": gateway}

    def cost(self, bench: Bench, setting: Setting) -> Cost:
        """Return the busiest core's time; per core of use, the busiest host's."""
        cores = self.cores(bench, setting)
        if self.per_core:
            sender = host_cpu(bench, setting, "bulk", "client")
            return Cost(max(sender, host_cpu(bench, setting, "bulk", "server")))
        return Cost(max(cores.values()))

    def seconds(self, bench: Bench, row: Row) -> float:
        """Return seconds of one flow for one burst."""
        ways = bench.ways(row.setting, "hot_loop")
        bits = ways.burst_bytes * 8
        return bits * (1 if self.per_core else row.setting.streams) / row.quantity.si

    def informs(self, bench: Bench, row: Row) -> bool:
        """A flow that fills the line says nothing of the hosts."""
        return self.per_core or row.quantity.si < NEAR_LINE * capacity(bench, row.setting)

    def answer(self, bench: Bench, setting: Setting, seconds: float, dimension: Dimension) -> Answer:
        """Return bits a second: flows side by side until the line is full."""
        ways = bench.ways(setting, "hot_loop")
        rate = ways.burst_bytes * 8 / seconds
        if self.per_core:
            return Answer(rate)
        limit = line(bench, setting)
        total = rate * setting.streams
        return Answer(min(total, limit), total >= limit, "line rate" if total >= limit else "")


@dataclass(frozen=True, slots=True)
class Flows(Bulk):
    """Throughput of several flows at once: as many times one flow, until the line is full."""

    kind: str = "bulk"

    def informs(self, bench: Bench, row: Row) -> bool:
        """Always: where it fills the line, the row of one flow stands in."""
        return True

    def seconds(self, bench: Bench, row: Row) -> float:
        """Return seconds of one flow for one burst, or what one flow takes where the row only shows the line."""
        if row.quantity.si >= NEAR_LINE * capacity(bench, row.setting):
            single = row.setting.but(**{key: "1" for key in ("streams", "processes") if key in row.setting})
            anchor = bench.anchor(Bulk(), single)
            return anchor.seconds if anchor is not None else Bulk().cost(bench, single).work * bench.factor
        return Bulk.seconds(self, bench, row)


def line(bench: Bench, setting: Setting) -> float:
    """Return the line's goodput, corrected by a baseline row that filled it."""
    ideal = capacity(bench, setting)
    if ideal == math.inf or bench.testbed.machine.nic_bps >= VIRTUAL_BPS:
        return ideal
    for row, _ in bench.baselines("bulk"):
        of_row = capacity(bench, row.setting)
        if row.setting.streams == setting.streams and NEAR_LINE * of_row <= row.quantity.si <= of_row:
            return ideal * row.quantity.si / of_row
    return ideal


def steered(setting: Setting) -> bool:
    """Tell whether flow steering puts softirq work on the program's own core."""
    return bool({"arfs", "all"} & set(re.split(r"[^a-z]+", setting.text("offload").lower())))


def merged_buffers(bench: Bench, setting: Setting) -> float:
    """Return into how many buffers receivers merge a burst: GRO merges what one poll finds of a flow.

    A poll finds what has come while the card held interrupts back: rate of the flow x moderation time.
    """
    if bench.subject(setting).same_node:
        return 1.0
    if not bench.ways(setting, "hot_loop").forward.whole or bench.testbed.machine.nic_bps >= VIRTUAL_BPS:
        return 1.0
    ways = bench.ways(setting, "hot_loop")
    together = goodput(bench, ways) / setting.streams * bench.figure("nic.moderation") / 8
    return max(1.0, ways.burst_bytes / max(together, ways.forward.route.mss_bytes))


def acknowledgements(ways: Ways, size: int, pieces: float = 1.0) -> float:
    """Return how many acknowledgements a burst causes: one a buffer, or one for two segments."""
    if ways.forward.whole:
        return pieces
    return max(1.0, size / ways.forward.route.mss_bytes / 2)


def host_cpu(bench: Bench, setting: Setting, test: str, side: str) -> float:
    """Return CPU seconds of one host for one unit at k = 1.

    Parameters
    ----------
    test: ``bulk`` (per burst), ``round-trip``, ``connection``.
    side: ``client`` sends bulk data, asks, connects; ``server`` is the other end.
    """
    regime: Regime = "hot_loop" if test == "bulk" else surroundings(bench, setting)
    ways = bench.ways(setting, regime)
    node = SENDER if side == "client" or bench.subject(setting).same_node else RECEIVER
    if test == "bulk":
        pieces = merged_buffers(bench, setting)
        acks = acknowledgements(ways, ways.burst_bytes, pieces)
        own = "socket.receive" if side == "client" else "socket.send"
        data = ways.forward.work(ways.burst_bytes, node=node, pieces=pieces)
        # flow steering keeps a receiver's data in the cache of the core that wants them
        near = 1 / bench.figure("regime.remote_cache") if side == "server" and steered(setting) else 1.0
        return near * (data + acks * ways.reply.work(1, node=node, skip=(own,)))
    there, back = ways.forward.work(1, node=node), ways.reply.work(1, node=node)
    subject = bench.subject(setting)
    there += 0.0 if subject.same_node else bench.figure("interrupt.poll")
    if "pod" in (subject.source, subject.target):
        back += bench.figure("socket.sleep.pod")
    if test == "round-trip":
        return there + back
    opening = ways.first.work(1, node=node) + ways.first_reply.work(1, node=node)
    return opening + (PACKETS_OF_CONNECTION / 2 - 1) * (there + back)


PACKETS_OF_CONNECTION = 10
"""SYN, SYN-ACK, ACK, request, ACK, response, FIN, ACK, FIN, ACK."""


@dataclass(frozen=True, slots=True)
class RoundTrip:
    """Request and response on an open connection: four passes and what waits between them."""

    percentile: float = 0.5
    family: str = "round-trip"
    protocol: str = "TCP"

    @property
    def kind(self) -> str:
        """Tails are compared with tails, datagrams with datagrams."""
        return f"{self._mean}-tail" if self.percentile >= TAIL else self._mean

    @property
    def _mean(self) -> str:
        return self.family if self.protocol == "TCP" else f"{self.family}-{self.protocol.lower()}"

    @property
    def stands_in(self) -> str:
        """Where no baseline row has a tail, the mean stands in; where none is of datagrams, TCP's."""
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
        waiting = ways.forward.waiting() + ways.reply.waiting()
        return Cost(work, waiting)

    def seconds(self, bench: Bench, row: Row) -> float:
        """Return the mean time of one round trip of one flow."""
        if row.quantity.dimension == "time":
            return row.quantity.si * (2 if one_way(row.setting) else 1)
        return row.setting.streams / row.quantity.si

    def informs(self, bench: Bench, row: Row) -> bool:
        """Always."""
        return True

    def answer(self, bench: Bench, setting: Setting, seconds: float, dimension: Dimension) -> Answer:
        """Return a rate of all flows, or a time."""
        if dimension == "time":
            wide = self.kind != self._mean and not any(bench.baselines(self.kind))
            return Answer(seconds * (bench.figure("tail.round_trip") if wide else 1.0) / (2 if one_way(setting) else 1))
        return Answer(setting.streams / seconds)


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

    What the client waits for: SYN and its answer, then request and response, then the end of the stream; the final ACK
    of the handshake and the client's FIN are sent in front of what follows. The other acknowledgements cost CPU time
    beside it.
    """

    family: str = "connection"

    def cost(self, bench: Bench, setting: Setting) -> Cost:
        """Return the work on the way of what the client waits for."""
        ways = bench.ways(setting, surroundings(bench, setting))
        there, back = ways.forward, ways.reply
        opening = ways.first.work() + ways.first_reply.work()
        sent_ahead = 2 * there.on(Role.SENDER_CORE, 1)
        work = opening + there.work() + 2 * back.work() + sent_ahead
        waiting = 2 * there.waiting() + 2 * back.waiting()
        return Cost(work, waiting)


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
        return Cost(host_cpu(bench, setting, self.test, self.side))

    def _unit(self, bench: Bench, setting: Setting, dimension: Dimension) -> float:
        """Return what a published figure counts in one unit of the model's.

        CPU time is stated for bits or transactions: a burst has its bits. Busy cores, or a plain share of the machine,
        are stated for what it did meanwhile, which the model predicts too.
        """
        bits = bench.ways(setting, "hot_loop").burst_bytes * 8.0 if self.test == "bulk" else 1.0
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
        """Return each core's work for one datagram."""
        way = bench.ways(setting, "hot_loop", "UDP").forward
        size = self._size(bench, setting)
        if bench.testbed.machine.cores == 1:
            return {node: way.work(size, node=node) for node in (SENDER, RECEIVER)}
        roles = (Role.SENDER_CORE, Role.VIA_CORE, Role.SOFTIRQ_CORE, Role.RECEIVER_CORE)
        return {role.name: way.on(role, size) for role in roles}

    def cost(self, bench: Bench, setting: Setting) -> Cost:
        """Return the busiest core's time for one datagram."""
        return Cost(max(self.stages(bench, setting).values()))

    @staticmethod
    def _size(bench: Bench, setting: Setting) -> int:
        return setting.count("msg_bytes", bench.ways(setting, "hot_loop", "UDP").forward.route.mss_bytes)

    def seconds(self, bench: Bench, row: Row) -> float:
        """Return one flow's time for a datagram."""
        return self._size(bench, row.setting) * 8 * row.setting.streams / row.quantity.si

    def informs(self, bench: Bench, row: Row) -> bool:
        """A flow that fills the line says nothing of the hosts."""
        return row.quantity.si < NEAR_LINE * capacity(bench, row.setting)

    def answer(self, bench: Bench, setting: Setting, seconds: float, dimension: Dimension) -> Answer:
        """Return bits a second, up to the line."""
        limit = capacity(bench, setting)
        rate = self._size(bench, setting) * 8 * setting.streams / seconds
        return Answer(min(rate, limit), rate >= limit, "line rate" if rate >= limit else "")
