"""How much GRO merges: what one poll of the card finds of a flow.

A busy card holds interrupts back (moderation), and the segments that come meanwhile are found by one poll. It takes
`POLL_BUDGET` packets at most, and at its end everything merged so far goes up the stack (``napi_gro_flush``, Linux
net/core/dev.c). A buffer ends at 64 KiB. So the more flows share a link, the fewer segments of each come together, and
the more buffers go through the stack and are acknowledged. A core that falls behind finds fuller queues than moderation
leaves, and merges more.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

from netsim.datapath.costs import Prices
from netsim.datapath.nic import Merge
from netsim.datapath.passes import fold
from netsim.datapath.path import Path
from netsim.datapath.types import Packet, Role, Route

POLL_BUDGET = 64
"""Packets of one poll (NAPI_POLL_WEIGHT)."""
BEHIND_A_CARD = frozenset({Role.SOFTIRQ_CORE, Role.STEERED_CORE, Role.VIA_CORE, Role.VIA_STEERED_CORE})
"""Cores whose hops are paid once a merged buffer."""
_RECEIVING = (Role.SOFTIRQ_CORE, Role.STEERED_CORE)


def merged_pieces(burst_bytes: float, mss_bytes: int, come_bytes: float) -> float:
    """Return into how many buffers a burst is merged in the mean, 1 or more.

    Parameters
    ----------
    burst_bytes: payload of the burst.
    mss_bytes: payload of a segment.
    come_bytes: what comes of the flow while the card holds interrupts back.
    """
    polled = min(max(come_bytes, mss_bytes), POLL_BUDGET * mss_bytes) / burst_bytes
    return math.ceil(polled) / polled


def merged_behind(collected: float, full: float, buffer_s: float, segments_s: float, supply_s: float) -> float:
    """Return into how many buffers a burst is merged by a core that may fall behind: as few as it must, to keep up.

    Parameters
    ----------
    collected: buffers where polls find what moderation collects.
    full: where they find as much as they take.
    buffer_s: work for a buffer.
    segments_s: for the burst's segments, however they are merged.
    supply_s: time in which the burst is brought: the sender's, or the line's.
    """
    return min(collected, max(full, (supply_s - segments_s) / buffer_s)) if buffer_s > 0.0 else collected


def acknowledged(burst_bytes: int, mss_bytes: int, merged: bool, pieces: float = 1.0) -> float:
    """Return how many acknowledgements a burst causes: one a merged buffer, else one for two segments (RFC 5681)."""
    return pieces if merged else max(1.0, burst_bytes / mss_bytes / 2)


def left_to_program(card_s: float, program_s: float, input_s: float) -> float:
    """Return how much of the transport's input a card's core leaves to the program's in the mean, seconds a burst.

    Packets that find the program at work wait in its socket's backlog, which takes them through TCP itself. Where the
    card's core is the slower one, the program is at work for the share x of the time, so it gets that share of the
    input: ``x = (program + x input) / (card - x input)``; no more than makes both alike.

    Parameters
    ----------
    card_s, program_s: work of both cores, all input on the card's.
    input_s: of it, what the transport's input takes.
    """
    evenly = max(0.0, min((card_s - program_s) / 2, input_s))
    if not evenly:
        return 0.0
    half = (card_s - input_s) / (2 * input_s)
    if half * half < program_s / input_s:
        return evenly
    return min(evenly, input_s * (half - math.sqrt(half * half - program_s / input_s)))


def polled(route: Route, path: Path, packet: Packet, prices: Callable[[str], Prices], mtu_bytes: int) -> Route:
    """Return a route that knows what each further merged buffer costs, and for how long the receiver's card collects.

    ``again_s`` of passes behind a card is the price of a loop, of what a buffer pays once. Where the receiving node
    merges nothing the route stays as it is.
    """
    merging = [c for c in path.crossings if isinstance(c.hop, Merge) and c.hop.merges and c.role in _RECEIVING]
    if not merging or not route.arrives_whole:
        return route
    again = fold(path, packet, lambda node: prices(node).in_loop, mtu_bytes=mtu_bytes, path_mtu_bytes=mtu_bytes)
    passes = tuple(
        item._replace(again_s=more.fixed_s) if item.role in BEHIND_A_CARD else item
        for item, more in zip(route.passes, again.passes, strict=True)
    )
    first, more = (
        next(bill.packet_ns for name, _, bill in each.hops if name == "stack.receive") * 1e-9 for each in (route, again)
    )
    moderation_s = prices(merging[-1].node)["nic.moderation"] * 1e-9
    return replace(route, passes=passes, polled_s=moderation_s, input_s=(first, more))
