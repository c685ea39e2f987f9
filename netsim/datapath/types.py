"""The vocabulary of the datapath: headers, bills, hops, crossings, passes and routes.

Everything here exists before any clock runs. A `Hop` prices a burst and rewrites its headers; a path is a sequence of
`Crossing`s; `fold` in ``passes.py`` turns it into `Pass`es, which is all the engine ever sees.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum, IntEnum
from typing import TYPE_CHECKING, Literal, NamedTuple, Protocol

if TYPE_CHECKING:
    from netsim.datapath.costs import Prices

Verdict = Literal["ALLOW", "DROP", "REJECT"]


class Role(IntEnum):
    """Which station executes a hop, relative to the two ends of a path.

    ``SENDER_CORE`` is the home core of the sending thread (softirq work of the way out runs there, inside the system
    call); ``SOFTIRQ_CORE`` the core RSS picks for the flow at the receiving node; ``RECEIVER_CORE`` the home core of
    the receiving thread. ``VIA_*`` belong to a node in between (the entry node of a NodePort). Links are one
    direction each: ``SENDER_LINK`` node to leaf, ``LEAF_UP`` leaf to spine, ``LEAF_DOWN`` spine to leaf,
    ``RECEIVER_LINK`` leaf to node.
    """

    SENDER_CORE = 0
    SENDER_LINK = 1
    LEAF_UP = 2
    LEAF_DOWN = 3
    VIA_LINK_IN = 4
    VIA_CORE = 5
    VIA_LINK_OUT = 6
    VIA_LEAF_UP = 7
    VIA_LEAF_DOWN = 8
    RECEIVER_LINK = 9
    SOFTIRQ_CORE = 10
    RECEIVER_CORE = 11
    BORDER = 12
    """The way between the cluster's fabric and the outside world."""
    SENDER_SHAPER = 13
    RECEIVER_SHAPER = 14
    """Bandwidth limits of the pods at both ends."""
    STEERED_CORE = 15
    VIA_STEERED_CORE = 16
    """Cores that receive packet steering (RPS) hands packets to, behind ``SOFTIRQ_CORE`` and ``VIA_CORE``."""


LINK_ROLES = frozenset(
    {
        Role.SENDER_LINK, Role.LEAF_UP, Role.LEAF_DOWN, Role.VIA_LINK_IN, Role.VIA_LINK_OUT, Role.VIA_LEAF_UP,
        Role.VIA_LEAF_DOWN, Role.RECEIVER_LINK, Role.BORDER,
    }
)  # fmt: skip


class Headers(NamedTuple):
    """What a capture at this point would show: the inner addresses, the tunnel's outer ones, bytes of all headers."""

    src: str
    dst: str
    src_port: int = 0
    dst_port: int = 0
    outer: tuple[str, str] | None = None
    header_bytes: int = 54
    """Ethernet (14) + IP (20 or 40) + TCP (20) or UDP (8), plus encapsulation; without preamble, FCS and gap."""


Turn = Literal["message", "accept", "close", "bare"]
"""What programs have to do with a packet of an open connection: one sends it and one reads it (``message``); it
completes the handshake, and the server's program takes the connection (``accept``); the sending program closes
(``close``); none, it is made and taken by the stacks (``bare``)."""


class Packet(NamedTuple):
    """What a hop must know of the burst it prices."""

    first: bool
    """Opens the flow in its direction: SYN and SYN-ACK, a datagram and its answer."""
    reply: bool
    """Travels from server to client."""
    protocol: str = "TCP"
    header_bytes: int = 54
    """Of one wire segment where the hop meets it."""
    turn: Turn = "message"

    @property
    def by_stack(self) -> bool:
        """No program's call sends it with data: handshakes, ends of streams and acknowledgements of TCP."""
        return self.turn != "message" or (self.first and self.protocol != "UDP")

    @property
    def new(self) -> bool:
        """Conntrack has no entry yet: only the packet that opens a connection, its answer already belongs to one."""
        return self.first and not self.reply


class Bursts(Enum):
    """What a hop does to a burst of several segments; `fold` prices the hops that follow accordingly."""

    KEEP = "keep"
    SPLIT = "split"
    """The hop itself is paid once; behind it every segment travels alone."""
    MERGE = "merge"
    """The hop itself is paid per segment; behind it the burst is one buffer again."""
    WHOLE = "whole"
    """The hop is paid once, however the burst came: a reader takes all that is there."""


class Bill(NamedTuple):
    """CPU work of one hop for one burst, in nanoseconds at the profile's own clock.

    ``packet_ns`` is paid once per buffer that crosses the hop: once per burst while segmentation offload survives, once
    per segment where it does not (``fold`` decides). ``segment_ns`` is always paid per wire segment, ``byte_ns`` per
    payload byte. ``scan_ns`` is the time to walk the *whole* service list; a first packet pays a fraction of it, its
    service's position, which the engine draws. ``rules`` counts rules walked in the mean, for reports.
    ``latency_ns`` delays the burst without occupying anybody; ``setup_ns`` delays it only when the station was idle.
    ``idle_ns`` is work that only an idle station has besides, and which delays nobody: within the set-up where polling
    is set up, while nobody is there where a thread goes to sleep.
    """

    packet_ns: float = 0.0
    byte_ns: float = 0.0
    segment_ns: float = 0.0
    scan_ns: float = 0.0
    rules: float = 0.0
    latency_ns: float = 0.0
    setup_ns: float = 0.0
    idle_ns: float = 0.0


class Hop(Protocol):
    """One mechanism crossed. Implementations are frozen; one file in ``datapath/`` per mechanism."""

    @property
    def bursts(self) -> Bursts:
        """What the hop does to a burst of several segments."""
        ...

    @property
    def orphans(self) -> bool:
        """The buffer forgets here which socket sent it."""
        ...

    @property
    def name(self) -> str:
        """Name in reports and plugin files (``veth``, ``encap``, ``service_nat`` ...)."""
        ...

    def bill(self, packet: Packet, prices: Prices) -> Bill:
        """Return the CPU work of this hop for one burst."""
        ...

    def rewrite(self, headers: Headers, packet: Packet) -> Headers:
        """Return the headers as they leave the hop."""
        ...


class Crossing(NamedTuple):
    """A hop at its place: which node's which station executes it."""

    hop: Hop
    role: Role
    node: str


class Pass(NamedTuple):
    """Consecutive hops one station executes, folded; equal for every pair of nodes of a kind. Seconds.

    Service time of a burst of ``bytes`` payload in ``segments`` wire segments whose service lies at ``position``
    (0..1) of the service list: ``fixed_s + byte_s·bytes + segment_s·segments + scan_s·position``.
    ``setup_s`` passes before the station starts when it was idle (wake-up, interrupt), without keeping it busy;
    ``latency_s`` passes after the station is done (propagation, DMA). On links ``pipelined`` is True and
    ``packet_s`` is the time of one full-sized packet (its tail leaves that much after its head). ``again_s`` is what
    each buffer behind the first one costs where GRO merges a burst to several. ``idle_s`` is the work that a core has
    besides if it was idle, and which delays nobody in this burst.
    """

    role: Role
    fixed_s: float
    byte_s: float = 0.0
    segment_s: float = 0.0
    scan_s: float = 0.0
    setup_s: float = 0.0
    latency_s: float = 0.0
    packet_s: float = 0.0
    pipelined: bool = False
    again_s: float = 0.0
    idle_s: float = 0.0


@dataclass(frozen=True, slots=True, eq=False)
class Route:
    """One direction of one kind of packet, compiled: what the engine plays.

    ``burst_bytes`` is the largest payload that moves as one burst (64 KiB less headers while the sender can aggregate,
    else one segment); ``mss_bytes`` the payload of one wire segment; ``path_mtu_bytes`` the smallest MTU on the way in
    terms of the inner packet: a larger inner packet that may not be fragmented is lost (black hole) when ``mss_bytes``
    does not fit. ``accounted`` says that buffers are their socket's until the sending node's card has sent them: TCP
    then knows what it has in the node's queues. ``polled_s`` is how long the receiver's card collects packets before a
    poll merges them, 0 where none are merged; ``input_s`` what the transport's input takes of the core behind the card,
    for a first buffer and for each further one. ``paired`` says that the network sees all flows of a pair of nodes as
    one, so that one queue of a card, and one core, has them all. ``mixed``, where not 0, says that a stream's buffers
    take several transmit queues of the card, and by how much the program's core sends more of them than its share of
    time (`netsim.datapath.disorder`). ``hops`` holds (name, pass index, Bill) for reports; a bill there has
    ``packet_ns`` moved to ``segment_ns`` where every segment pays, and is in nanoseconds on the machine that executes
    it.
    """

    passes: tuple[Pass, ...]
    mss_bytes: int
    burst_bytes: int
    hops: tuple[tuple[str, int, Bill], ...] = ()
    black_hole: bool = False
    path_mtu_bytes: int = 1500
    accounted: bool = False
    polled_s: float = 0.0
    input_s: tuple[float, float] = (0.0, 0.0)
    paired: bool = False
    mixed: float = 0.0

    @property
    def arrives_whole(self) -> bool:
        """Whether bursts of many segments reach the receiver's transport layer as one buffer."""
        return next((not bill.segment_ns for name, _, bill in self.hops if name == "stack.receive"), True)


@dataclass(frozen=True, slots=True, eq=False)
class Routes:
    """The four routes of a connection kind and what policy says to it.

    ``first`` and ``first_reply`` carry the packets that open the flow (SYN and SYN-ACK; a datagram and its answer),
    ``forward`` and ``reply`` all later ones. ``forward_acks`` and ``reply_acks`` carry the acknowledgements of large
    transfers (`netsim.datapath.acknowledgements`); datagrams have none.
    """

    first: Route
    first_reply: Route
    forward: Route
    reply: Route
    verdict: Verdict = "ALLOW"
    reason: str = ""
    conntrack: tuple[Role, ...] = ()
    """Where the connection takes conntrack entries: SENDER_CORE, VIA_CORE, SOFTIRQ_CORE stand for the nodes."""
    snat: bool = False
    """The client's address is replaced, which takes a port of the node that does it."""
    forward_acks: Route | None = None
    reply_acks: Route | None = None
    turns: tuple[Mapping[Turn, Route], Mapping[Turn, Route]] = field(default=({}, {}), hash=False)
    """Forth and back, the routes of a connection's later packets without data; datagrams have none."""
    outer_conntrack: int = 0
    """Entries a connection takes besides, at each of its nodes, for the outer packets of its tunnel (UDP lifetimes)."""
