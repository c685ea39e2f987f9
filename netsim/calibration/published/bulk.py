"""Questions about long flows: what each core does for a buffer of 64 KiB, which is the slowest, where the line ends."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

from netsim.calibration.published.bench import BULK, LINE_RATE, Bench
from netsim.calibration.published.between import let_through
from netsim.calibration.published.case import Row
from netsim.calibration.published.hardware import VIRTUAL_BPS
from netsim.calibration.published.lines import FILLED
from netsim.calibration.published.quantities import Dimension
from netsim.calibration.published.question import Answer, Cost
from netsim.calibration.published.setting import Setting, alone
from netsim.calibration.published.testbed import RECEIVER, SENDER, Ways
from netsim.calibration.published.unstated import FAR_FASTER
from netsim.datapath.disorder import fills_alone, mixes, settled, unmerged
from netsim.datapath.gro import acknowledged, left_to_program, merged_behind, merged_pieces
from netsim.datapath.link import FRAMING_BYTES
from netsim.datapath.socket import sent_bytes
from netsim.datapath.types import Packet, Role

TIMESTAMPS = 12
"""TCP's timestamp option (RFC 7323), in every segment of a Linux sender."""
NEAR_LINE = 0.9
"""A measured rate from here on, as a fraction of the line's goodput, says nothing of the hosts."""


def goodput(bench: Bench, ways: Ways) -> float:
    """Return the payload bits a second that fit on the line: payload, headers, tunnel and framing of a full segment."""
    mss = ways.forward.route.mss_bytes - TIMESTAMPS
    packet = Packet(first=False, reply=False)
    headers = max(before.header_bytes for _, before, _ in ways.forward.path.trace(packet))
    return bench.testbed.machine.nic_bps * mss / (mss + TIMESTAMPS + headers + FRAMING_BYTES)


def capacity(bench: Bench, setting: Setting, datagram_bytes: int = 0) -> float:
    """Return the payload bits a second that pass between two hosts; within one there is no line to fill."""
    if bench.subject(setting).same_node:
        return math.inf
    ways = bench.ways(setting)
    whole = goodput(bench, ways)
    return min(whole, let_through(bench, setting, ways, whole, datagram_bytes))


def fills(bench: Bench, row: Row) -> bool:
    """Tell whether the line decided a measured stream: it came near, or a little less near by far faster hosts.

    A provider's shaper, other traffic and another tool's way of counting leave a line less full than its bits allow.
    """
    allowed = capacity(bench, row.setting)
    if row.quantity.si >= NEAR_LINE * allowed:
        return True
    slowest = max(bench.factor * cost.work + cost.waiting for cost in Bulk().cores(bench, row.setting).values())
    hosts = row.setting.streams * bench.ways(row.setting).burst_bytes * 8 / slowest
    return row.quantity.si >= FILLED * allowed and hosts >= FAR_FASTER * allowed


@dataclass(frozen=True, slots=True)
class Bulk:
    """Throughput of long flows: one burst of 64 KiB on the busiest core, and its acknowledgements.

    The cores are the sender's and the receiver's programs, the receiver's softirq core and, behind a gateway, its. With
    one core a host does everything on it. Acknowledgements are made in softirq context: one for each buffer that
    reaches the receiver whole, else one for two segments (RFC 5681).
    """

    kind: str = "bulk"
    calibrates: int = 4
    per_core: bool = False
    """The metric is a rate divided by the use of the busiest host."""

    def cores(self, bench: Bench, setting: Setting) -> dict[str, Cost]:
        """Return the costs of one burst by core; copies are waiting there, because no clock makes them faster."""
        return self.merging(bench, setting, merged_buffers(bench, setting))

    def merging(self, bench: Bench, setting: Setting, pieces: float) -> dict[str, Cost]:
        """Return the same where receivers merge the burst to so many buffers."""
        ways, subject = bench.ways(setting), bench.subject(setting)
        size = ways.burst_bytes
        buffers = buffers_sent(bench, setting)
        acks = buffers * acknowledgements(ways, round(size / buffers), pieces)
        there, back = ways.forward, ways.acks
        ack_out = acks * back.on(Role.SENDER_CORE, 1)
        ack_in = acks * back.on(Role.SOFTIRQ_CORE, 1)

        def paid(role: Role, more: float = 0.0) -> Cost:
            copied = there.copied(size, role=role)
            whole = buffers * there.on(role, round(size / buffers), pieces=pieces)
            return Cost(whole - copied + more, copied)

        sender, receiver = paid(Role.SENDER_CORE, beside(bench, setting, size)), paid(Role.RECEIVER_CORE)
        alone = bench.testbed.machine.cores == 1
        if subject.same_node:
            # the sender's core carries the packet up to the receiver's queue
            if alone:
                return {"both": sender.plus(receiver).plus(Cost(ack_out))}
            return {"sender": sender, "receiver": receiver.plus(Cost(ack_out))}
        softirq, gateway = paid(Role.SOFTIRQ_CORE, ack_out), paid(Role.VIA_CORE)
        if alone or subject.steered:
            return {"sender": sender.plus(Cost(ack_in)), "receiver": softirq.plus(receiver), "gateway": gateway}
        transport = there.on(Role.SOFTIRQ_CORE, size, of="stack.receive", pieces=pieces)
        cores = {"sender": sender, **_shared(softirq, receiver, transport), "gateway": gateway}
        return {**cores, "acknowledgements": Cost(ack_in)}

    def cost(self, bench: Bench, setting: Setting) -> Cost:
        """Return the busiest core's time; per core of use, the busiest host's."""
        if self.per_core:
            return max((bulk_cpu(bench, setting, side) for side in ("client", "server")), key=math.fsum)
        return max(self.cores(bench, setting).values(), key=lambda cost: bench.busy_factor * cost.work + cost.waiting)

    def seconds(self, bench: Bench, row: Row) -> float:
        """Return seconds of one flow for one burst."""
        ways = bench.ways(row.setting)
        bits = ways.burst_bytes * 8
        return bits * (1 if self.per_core else row.setting.streams) / row.quantity.si

    def informs(self, bench: Bench, row: Row) -> bool:
        """A flow that fills the line says nothing of the hosts."""
        return self.per_core or not fills(bench, row)

    def answer(self, bench: Bench, setting: Setting, seconds: float, dimension: Dimension) -> Answer:
        """Return bits a second: flows side by side until the line is full."""
        ways = bench.ways(setting)
        rate = ways.burst_bytes * 8 / seconds
        if self.per_core:
            return Answer(rate)
        limit = line(bench, setting)
        total = rate * setting.streams
        if setting.streams > 1:
            total = min(total, hosts_limit(bench, setting), self.thread_limit(bench, setting))
            total = min(total, self.tunnel_limit(bench, setting))
        return Answer(min(total, limit), total >= limit, LINE_RATE if total >= limit else "")

    def thread_limit(self, bench: Bench, setting: Setting) -> float:
        """Return the bits a second of one program thread at each end, where a tool has no more for all its streams.

        As the model has it: what one flow takes on the testbed may be another core's time.
        """
        if not one_threaded(setting):
            return math.inf
        programs = [cost for name, cost in self.cores(bench, setting).items() if name in ("sender", "receiver", "both")]
        busier = max(bench.busy_factor * cost.work + cost.waiting for cost in programs)
        return bench.ways(setting).burst_bytes * 8 / busier

    def tunnel_limit(self, bench: Bench, setting: Setting) -> float:
        """Return the bits a second of the one core that has all flows of a tunnel whose packets look like one flow."""
        ways = bench.ways(setting)
        if not ways.forward.route.paired:
            return math.inf
        card = self.cores(bench, setting)["softirq"]
        return ways.burst_bytes * 8 / (bench.busy_factor * card.work + card.waiting)


@dataclass(frozen=True, slots=True)
class Flows(Bulk):
    """Throughput of several flows at once: as many times one flow, until the line is full."""

    kind: str = "bulk"

    def informs(self, bench: Bench, row: Row) -> bool:
        """Always: where it fills the line, the row of one flow stands in."""
        return True

    def seconds(self, bench: Bench, row: Row) -> float:
        """Return seconds of one flow for one burst, or what one flow takes where the row only shows the line."""
        if fills(bench, row):
            single = alone(row.setting)
            anchor = bench.anchor(Bulk(), single)
            return anchor.seconds if anchor is not None else Bulk().cost(bench, single).work * bench.busy_factor
        return Bulk.seconds(self, bench, row)


def one_threaded(setting: Setting) -> bool:
    """Tell whether the row's tool runs all its streams in one thread, as iperf3 did before 3.16 (its release notes)."""
    found = re.search(r"iperf-?3(?:\D+(\d+)\.(\d+))?", setting.text("tool").lower())
    return found is not None and (found[1] is None or (int(found[1]), int(found[2])) < (3, 16))


def hosts_limit(bench: Bench, setting: Setting) -> float:
    """Return the bits a second at which the busier host has no core left."""
    sides = [bulk_cpu(bench, setting, side) for side in ("client", "server")]
    scale = bench.busy_factor * bench.contention(Flows(), setting)
    busier = max(scale * side.work + side.waiting for side in sides)
    return bench.testbed.machine.cores * bench.ways(setting).burst_bytes * 8 / busier / pace(bench, setting)


def pace(bench: Bench, setting: Setting) -> float:
    """Return what a baseline row of one flow, as far apart, took over the model's time; 1 without such a row."""
    anchor = bench.anchor(Bulk(), alone(setting))
    if anchor is None or bench.subject(anchor.row.setting).same_node != bench.subject(setting).same_node:
        return 1.0
    return anchor.seconds / (anchor.cost.waiting + bench.busy_factor * anchor.cost.work)


def line(bench: Bench, setting: Setting) -> float:
    """Return the line's goodput, corrected by a baseline row that filled it."""
    ideal = capacity(bench, setting)
    if ideal == math.inf or bench.testbed.machine.nic_bps >= VIRTUAL_BPS:
        return ideal
    for row, _ in bench.baselines("bulk"):
        if row.setting.streams == setting.streams and fills(bench, row):
            return ideal * row.quantity.si / capacity(bench, row.setting)
    return ideal


def merged_buffers(bench: Bench, setting: Setting) -> float:
    """Return into how many buffers receivers merge a burst: as their polls find it, or more where its order is lost."""
    pieces = in_order(bench, setting)
    if not _may_mix(bench, setting) or any(_may_mix(bench, row.setting) for row, _ in bench.baselines(BULK[0])):
        return pieces  # what it costs here, a baseline row of such a stream has measured
    if _held_on_bare_hosts(bench):
        return pieces  # a window or a program, and no card, holds streams back
    ways, line_s = bench.ways(setting), line_time(bench, setting)
    if not fills_alone(line_s, max(_paces(bench, setting, in_order(bench, alone(setting))).values())):
        return pieces
    segments = max(pieces, ways.burst_bytes / ways.forward.route.mss_bytes)
    first, last = (_paces(bench, setting, each) for each in (pieces, segments))

    def busiest_s(share: float) -> float:
        return max(first[core] + share * (last[core] - first[core]) for core in first)

    held = bench.figure("stream.held")
    return unmerged(pieces, segments, settled(line_s, setting.streams, first["sender"], held, busiest_s))


def _held_on_bare_hosts(bench: Bench) -> bool:
    """Tell whether a baseline row has one stream of bare hosts that did not fill the line."""
    alone = (row for row, _ in bench.baselines(BULK[0]) if row.setting.streams == 1 and bench.subject(row.setting).bare)
    return any(not bench.subject(row.setting).same_node and not fills(bench, row) for row in alone)


def _may_mix(bench: Bench, setting: Setting) -> bool:
    route, one_core = bench.ways(setting).forward.route, bench.subject(setting).steered
    whole = route.arrives_whole and line_time(bench, setting) > 0.0
    return whole and not one_core and mixes(bench.testbed.machine, route)


def _paces(bench: Bench, setting: Setting, pieces: float) -> dict[str, float]:
    cores = Bulk().merging(bench, setting, pieces).items()
    return {name: bench.busy_factor * cost.work + cost.waiting for name, cost in cores}


def line_time(bench: Bench, setting: Setting) -> float:
    """Return the seconds a burst takes on the line; none within a host, and on virtual cards."""
    if bench.subject(setting).same_node or bench.testbed.machine.nic_bps >= VIRTUAL_BPS:
        return 0.0
    ways = bench.ways(setting)
    return ways.burst_bytes * 8 / goodput(bench, ways)


def in_order(bench: Bench, setting: Setting) -> float:
    """Return into how many buffers polls merge a burst, where flows share the line; virtual cards pass it on.

    A card's core that would be the slowest falls behind and merges more (`merged_behind`); one that is the program's
    too does not, its polls go first.
    """
    if bench.subject(setting).same_node:
        return 1.0
    if not bench.ways(setting).forward.whole or bench.testbed.machine.nic_bps >= VIRTUAL_BPS:
        return 1.0
    ways = bench.ways(setting)
    mss = ways.forward.route.mss_bytes
    come = goodput(bench, ways) / setting.streams * bench.figure("nic.moderation") / 8
    collected = merged_pieces(ways.burst_bytes, mss, come)
    if bench.subject(setting).steered or bench.testbed.machine.cores == 1:
        return collected
    full, size = merged_pieces(ways.burst_bytes, mss, math.inf), ways.burst_bytes

    def card_s(pieces: float) -> float:
        stack = ways.forward.on(Role.SOFTIRQ_CORE, size, pieces=pieces) + pieces * ways.acks.on(Role.SENDER_CORE, 1)
        return bench.busy_factor * stack

    buffer_s = card_s(2.0) - card_s(1.0)
    sent = bench.busy_factor * (ways.forward.on(Role.SENDER_CORE, size) + beside(bench, setting, size))
    # one core has all flows of a tunnel that hides them, and bursts come one after the other
    flows = setting.streams if ways.forward.route.paired else 1
    supply_s = max(sent / flows, size * 8 * setting.streams / flows / goodput(bench, ways))
    return merged_behind(collected, full, buffer_s, card_s(1.0) - buffer_s, supply_s)


def acknowledgements(ways: Ways, size: int, pieces: float = 1.0) -> float:
    """Return how many acknowledgements a burst causes."""
    return acknowledged(size, ways.forward.route.mss_bytes, ways.forward.whole, pieces)


def _shared(softirq: Cost, receiver: Cost, transport: float) -> dict[str, Cost]:
    """Return the costs of a receiver's two cores, where the busier softirq core leaves TCP to the program's.

    While a program holds its socket, packets wait in the socket's backlog and the program itself takes them through TCP
    (Linux tcp_add_backlog, release_sock). What comes before TCP stays where the interrupt is.
    """
    moved = left_to_program(math.fsum(softirq), math.fsum(receiver), transport)
    return {"softirq": softirq.plus(Cost(-moved)), "receiver": receiver.plus(Cost(moved))}


def beside(bench: Bench, setting: Setting, size: int) -> float:
    """Return what a sender does for a burst besides: it sleeps (its buffer is full), and appends small messages."""
    calls = size / (written(setting) or size)
    appended = max(0.0, calls - buffers_sent(bench, setting))
    return bench.figure("sched.switch") + appended * bench.figure("socket.append")


def written(setting: Setting) -> int:
    """Return the bytes of a program's call for a stream, 0 where they fill bursts.

    netperf writes as much as a socket's buffer has at first, 16 KiB (its manual, ``-m``; Linux ``tcp_wmem``).
    """
    usual = NETPERF_BYTES if "netperf" in setting.text("tool").lower() else 0
    return setting.count("msg_bytes", usual)


NETPERF_BYTES = 16384


def buffers_sent(bench: Bench, setting: Setting) -> float:
    """Return in how many buffers a burst leaves its socket; within a node each call's bytes leave by themselves."""
    size, stays = bench.ways(setting).burst_bytes, bench.subject(setting).same_node
    mss = bench.ways(setting).forward.route.mss_bytes
    return size / sent_bytes(written(setting) or size, mss, size, stays=stays)


def bulk_cpu(bench: Bench, setting: Setting, side: str) -> Cost:
    """Return CPU seconds of the ``client`` that sends, or the ``server``, for one burst at k = 1, copies as waiting."""
    ways, sends = bench.ways(setting), side == "client"
    node = SENDER if sends or bench.subject(setting).same_node else RECEIVER
    pieces = merged_buffers(bench, setting)
    buffers = buffers_sent(bench, setting)
    size = round(ways.burst_bytes / buffers)
    acks = buffers * acknowledgements(ways, size, pieces)
    data = buffers * ways.forward.work(size, node=node, pieces=pieces)
    copied = ways.forward.copied(ways.burst_bytes, node=node)
    more = beside(bench, setting, ways.burst_bytes) if sends else 0.0
    return Cost(data - copied + more + acks * ways.acks.work(1, node=node), copied)
