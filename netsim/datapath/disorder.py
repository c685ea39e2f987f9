"""Streams that a card's transmit queues bring out of order, which the receiver then cannot merge.

A card has a transmit queue for every core, and its driver takes that of the core that sends (XPS; mlx5, ixgbe and
others set it up). TCP keeps to the queue a socket once had while it has anything in it (``ooo_okay``,
``sk_tx_queue_get``; Linux Documentation/networking/scaling.rst). A buffer that has entered the node's IP stack behind
a pod's veth has forgotten its socket (``ip_rcv_core``), so each goes by the core that is at work: the program's for
what it writes while the window is open, and the one that the acknowledgements wake for what they let go. Where the
card holds the stream back both queues fill, nothing below the socket bounds them (`netsim.datapath.netfilter`), and
the card takes from them in turn.

GRO sends up what it has of a flow as soon as a segment does not continue it (``tcp_gro_receive``), so segments that
come beside others of their stream go through the receiver's stack one by one. Its core then falls behind, and the
stream runs at its pace: below the line, with a window that keeps being cut (RACK takes what is late for lost), so
acknowledgements go on letting go what waits. Linux before 4.18 learns instead how far a path reorders
(``tcp_reordering``), and its windows grow until the send buffer bounds them; then the program's core alone sends.
Cards that send answers to the queue that a flow was sent by (ATR of ixgbe and i40e) have one core for both.

`experiments/stream-order` measures both conditions and the two cores' shares.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from netsim.cluster.objects import Machine
from netsim.datapath.costs import Prices
from netsim.datapath.gro import merged_pieces
from netsim.datapath.passes import segments_of
from netsim.datapath.types import Pass, Role, Route

RACK_ALONE = (4, 18)
"""Linux release since which losses are told by time alone (b38a51fec1c1, "tcp: disable RFC6675 loss detection")."""
_STEPS = 40


def mixes(machine: Machine, route: Route) -> bool:
    """Tell whether a stream's buffers may take several transmit queues of the sending node's card at once.

    Parameters
    ----------
    machine: of the sending node.
    route: of the stream's data.
    """
    return (
        machine.transmit_queue == "core"
        and min(machine.queues, machine.cores) > 1
        and machine.interrupts != "steered"
        and not machine.before(*RACK_ALONE)
        and not route.accounted
        and any(item.role is Role.SENDER_LINK for item in route.passes)
    )


def mixed(route: Route, machine: Machine, prices: Prices) -> Route:
    """Return a route that says by how much a stream's order is lost, where it is and one stream alone fills the card.

    Parameters
    ----------
    route: of the stream's data, polled (`netsim.datapath.gro.polled`).
    machine: of the sending node.
    prices: of the profile.
    """
    if not mixes(machine, route) or not route.polled_s:
        return route
    size = route.burst_bytes
    segments = segments_of(route, size)

    def taken_s(item: Pass, pieces: float = 1.0) -> float:
        return item.fixed_s + item.byte_s * size + item.segment_s * segments + (pieces - 1.0) * item.again_s

    line_s = next(taken_s(item) for item in route.passes if item.role is Role.SENDER_LINK)
    pieces = merged_pieces(size, route.mss_bytes, size * route.polled_s / line_s)
    cores = (taken_s(item, pieces) for item in route.passes if not item.pipelined)
    return replace(route, mixed=prices["stream.held"]) if fills_alone(line_s, max(cores)) else route


def sides(held: float, busy: float) -> float:
    """Return the probability that two buffers of a stream are sent by different cores.

    The program's core sends what finds it at work: what it writes, and what acknowledgements let go that come while the
    socket is its own (``tcp_add_backlog``). Program and acknowledgements meet more often than by chance, as these
    wake it.

    Parameters
    ----------
    held: the program's core's share of the buffers over its share of time at work (``stream.held``).
    busy: that share of time.
    """
    share = min(0.5, held * busy)
    return 2.0 * share * (1.0 - share)


def beside(own: float, used: float, sides: float) -> float:
    """Return the share of a stream's segments that go out beside others of it, from another queue.

    A card that serves its queues in turn is a server that all buffers share. A buffer stays ``1 / (1 - used)`` times
    as long as alone (processor sharing: Kleinrock 1967), and so much of the stream's own is there with it.

    Parameters
    ----------
    own, used: shares of the line's time that the stream and all traffic take.
    sides: probability that two of its buffers are of different queues.
    """
    return 1.0 if used >= 1.0 else min(1.0, sides * own / (1.0 - used))


def settled(line_s: float, flows: int, sender_s: float, held: float, busiest_s: Callable[[float], float]) -> float:
    """Return the share of segments beside others at which a stream's pace brings just that share.

    Parameters
    ----------
    line_s, sender_s: time of a burst on the line and of the sending program's core.
    flows: streams side by side.
    held: as in `sides`.
    busiest_s: time of the busiest core for a burst, by that share; it grows with it.
    """
    low, high = 0.0, 1.0
    for _ in range(_STEPS):
        share = (low + high) / 2
        pace_s = max(busiest_s(share), flows * line_s)
        brought = beside(line_s / pace_s, flows * line_s / pace_s, sides(held, sender_s / pace_s))
        low, high = (share, high) if brought > share else (low, share)
    return (low + high) / 2


def unmerged(pieces: float, segments: float, share: float) -> float:
    """Return into how many buffers a burst is merged, of whose segments a share cannot be.

    Parameters
    ----------
    pieces: buffers if all came in order.
    segments: of the burst.
    share: of them that come beside others of the stream.
    """
    return pieces + share * max(0.0, segments - pieces)


def fills_alone(line_s: float, busiest_s: float) -> bool:
    """Tell whether one stream alone fills the card: its cores take less for a burst than the line.

    Else its buffers leave the card before the next ones come, one core's pace between them, and keep their order.
    """
    return busiest_s < line_s
