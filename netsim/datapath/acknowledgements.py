"""Acknowledgements of a large transfer: made and taken by the stacks of both ends, many of a kind in a row.

No program has a part in them. The receiver's stack makes one where the data came up, on the core that its card woke;
its way ends where the sender's card put it: the first hop is TCP's own output, the last TCP's input.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from netsim.datapath.costs import Prices
from netsim.datapath.passes import fold
from netsim.datapath.path import Path
from netsim.datapath.socket import Acknowledge, SocketReceive, SocketSend, StackReceive
from netsim.datapath.types import Bill, Crossing, Packet, Pass, Route


def acknowledging(path: Path) -> Path:
    """Return the way of a packet that the stack of one end sends to that of the other."""

    def changed(crossing: Crossing) -> Crossing:
        match crossing.hop:
            case SocketSend():
                return crossing._replace(hop=Acknowledge())
            case StackReceive():
                return crossing._replace(hop=StackReceive("steered"))
            case _:
                return crossing

    return Path(path.start, tuple(changed(c) for c in path.crossings if not isinstance(c.hop, SocketReceive)))


def acknowledgements(path: Path, prices: Callable[[str], Prices], *, reply: bool) -> Route:
    """Return the route of acknowledgements on a way; a burst of so many bytes is so many of them.

    Each is a packet of its own, at the price of a loop: one follows the other.

    Parameters
    ----------
    path: the way.
    prices: the prices on a node, by its name.
    reply: the way leads from server to client.
    """
    route = fold(
        acknowledging(path), Packet(False, reply), lambda node: prices(node).in_loop,
        mtu_bytes=_PLENTY, path_mtu_bytes=_PLENTY,
    )  # fmt: skip
    return replace(
        route, passes=tuple(map(_each, route.passes)), mss_bytes=1, burst_bytes=_PLENTY,
        hops=tuple((name, index, _billed(bill)) for name, index, bill in route.hops),
    )  # fmt: skip


_PLENTY = 1 << 16


def _each(item: Pass) -> Pass:
    packet_s = item.fixed_s + item.segment_s
    return item._replace(
        fixed_s=0.0, byte_s=0.0, segment_s=packet_s, packet_s=packet_s if item.pipelined else 0.0, scan_s=0.0
    )


def _billed(bill: Bill) -> Bill:
    return bill._replace(packet_ns=0.0, byte_ns=0.0, segment_ns=bill.packet_ns + bill.segment_ns, scan_ns=0.0)
