"""Folding: a path becomes the passes that stations execute.

Along the path it is tracked whether the burst still is one buffer. Where it is, a hop is paid once, where it is not,
once per segment: this, more than header bytes, decides what an overlay costs.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from itertools import groupby
from typing import NamedTuple

from netsim.datapath.costs import Prices
from netsim.datapath.encapsulation import Decapsulate
from netsim.datapath.path import Path
from netsim.datapath.types import LINK_ROLES, Bill, Bursts, Crossing, Headers, Packet, Pass, Role, Route

GSO_MAX_BYTES = 65536
"""Largest buffer that segmentation offload takes, IP and transport headers included (Linux GSO_LEGACY_MAX_SIZE)."""
_NS = 1e-9


class Priced(NamedTuple):
    """A crossing with its bill for one packet; per-packet work is moved to segments where each of them pays it."""

    crossing: Crossing
    bill: Bill
    whole: bool
    """The burst is one buffer when it leaves the hop."""
    before: Headers
    after: Headers


def price(path: Path, packet: Packet, prices: Callable[[str], Prices]) -> Iterator[Priced]:
    """Yield every hop of a path with what a packet costs there.

    Where every segment pays, the segments come one behind the other, so all but the first pay the price of a loop. So
    does a packet that meets on one core what it has met there before: the code is in the nearest cache.

    Parameters
    ----------
    path: one direction of a connection.
    packet: which packet of it.
    prices: the prices on a node, by its name.
    """
    whole, role = True, None
    met: set[str] = set()
    for crossing, before, after in path.trace(packet):
        hop, here, effect = crossing.hop, prices(crossing.node), crossing.hop.bursts
        if crossing.role is not role:
            role, met = crossing.role, set()
        seen = packet._replace(header_bytes=before.header_bytes)
        bill = hop.bill(seen, here.in_loop if repeats(hop.name, met) else here)
        if not whole and effect is not Bursts.WHOLE:
            again = hop.bill(seen, here.in_loop)
            bill = bill._replace(
                packet_ns=bill.packet_ns - again.packet_ns, segment_ns=again.segment_ns + again.packet_ns
            )
        if whole and effect is Bursts.WHOLE:  # nothing to put together
            bill = bill._replace(packet_ns=bill.packet_ns + bill.segment_ns, segment_ns=0.0)
        whole = effect in (Bursts.MERGE, Bursts.WHOLE) or (whole and effect is Bursts.KEEP)
        yield Priced(crossing, bill, whole, before, after)


def repeats(name: str, met: set[str]) -> bool:
    """Tell whether a hop of this name runs code that ran for the same packet before, and note it in ``met``.

    `netsim calibrate` finds what such a hop costs by itself: 0.72 to 0.85 of the first in a loop.

    All netfilter hooks run the same functions, whatever hangs there; a gateway and a switch are one bridge; a tunnel's
    outer packets cross the inner ones' conntrack. Walks over lists are prices of loops already.
    """
    if name.removeprefix("outer.") in LISTS:
        return False
    family = name.partition(".")[0]
    mechanism = _ONE_CODE.get(name, family if family == "netfilter" else name.removeprefix("outer."))
    known = mechanism in met
    met.add(mechanism)
    return known


LISTS = frozenset({"service_nat", "policy"})
"""Hops whose price is that of a loop over data, which no repetition makes cheaper."""
_ONE_CODE = {
    "bridge.forward": "bridge",
    **dict.fromkeys(("outer.prerouting", "outer.input", "outer.output", "outer.postrouting"), "netfilter"),
}


def fold(
    path: Path, packet: Packet, prices: Callable[[str], Prices], *, mtu_bytes: int, path_mtu_bytes: int
) -> Route:
    """Fold a path into passes for one kind of packet.

    Parameters
    ----------
    path: one direction of a connection.
    packet: which packet of it (first or later).
    prices: the prices on a node, by its name.
    mtu_bytes: MTU that both ends use, which sets the payload of a segment.
    path_mtu_bytes: largest inner IP packet that passes everywhere on the way.
    """
    ip_bytes = path.start.header_bytes - 14
    mss = max(1, mtu_bytes - ip_bytes)
    priced = list(price(path, packet, prices))
    passes: list[Pass] = []
    hops: list[tuple[str, int, Bill]] = []
    for index, (role, group) in enumerate(groupby(priced, key=lambda item: item.crossing.role)):
        items = list(group)
        passes.append(_pass(role, [item.bill for item in items], mss))
        hops.extend((item.crossing.hop.name, index, item.bill) for item in items)
    stays_whole = any(item.whole for item in priced if item.crossing.role is not Role.RECEIVER_CORE)
    aggregated = stays_whole or packet.protocol == "UDP"
    burst = GSO_MAX_BYTES - ip_bytes if aggregated else mss
    accounted = not any(item.crossing.hop.orphans for item in priced if item.crossing.role is Role.SENDER_CORE)
    hops_met = (item.crossing.hop for item in priced)
    paired = any(isinstance(hop, Decapsulate) and hop.paired for hop in hops_met)
    return Route(
        passes=tuple(passes), mss_bytes=mss, burst_bytes=burst, hops=tuple(hops),
        black_hole=mtu_bytes > path_mtu_bytes, path_mtu_bytes=path_mtu_bytes, accounted=accounted,
        paired=paired,
    )  # fmt: skip


def _pass(role: Role, bills: list[Bill], mss_bytes: int) -> Pass:
    """Add up consecutive hops of one station, in seconds."""

    def total(field: str) -> float:
        return math.fsum(getattr(bill, field) for bill in bills) * _NS

    on_link = role in LINK_ROLES
    segment_s, byte_s = total("segment_ns"), total("byte_ns")
    return Pass(
        role=role,
        fixed_s=total("packet_ns"),
        byte_s=byte_s,
        segment_s=segment_s,
        scan_s=total("scan_ns"),
        setup_s=total("setup_ns"),
        latency_s=total("latency_ns"),
        idle_s=total("idle_ns"),
        packet_s=segment_s + byte_s * mss_bytes if on_link else 0.0,
        pipelined=on_link,
    )


def work_ns(route: Route, payload_bytes: int, position: float = 0.5) -> float:
    """Return the CPU work of one burst on all cores of a route, in nanoseconds; links are left out."""
    return math.fsum(
        hop_ns(bill, payload_bytes, segments_of(route, payload_bytes), position)
        for _, index, bill in route.hops
        if not route.passes[index].pipelined
    )


def hop_shares(route: Route, payload_bytes: int, position: float = 0.5) -> dict[str, float]:
    """Return seconds of work by hop name for one burst, hops of one name added up, links included."""
    shares: dict[str, float] = {}
    segments = segments_of(route, payload_bytes)
    for name, _, bill in route.hops:
        shares[name] = shares.get(name, 0.0) + hop_ns(bill, payload_bytes, segments, position) * _NS
    return shares


def hop_ns(bill: Bill, payload_bytes: int, segments: int, position: float = 0.5) -> float:
    """Return the work of one hop for a burst, in nanoseconds."""
    return bill.packet_ns + bill.byte_ns * payload_bytes + bill.segment_ns * segments + bill.scan_ns * position


def segments_of(route: Route, payload_bytes: int) -> int:
    """Return the wire segments of a payload."""
    return max(1, -(-payload_bytes // route.mss_bytes))

