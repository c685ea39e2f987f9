"""What one transaction puts on the network: its bursts, and the jobs they bring to the stations at both ends.

The bursts of a transaction are known (handshake, request, response, close; queries and answers), and so is what each
pays where it passes.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import chain
from math import fsum
from typing import TYPE_CHECKING, Literal, NamedTuple, TypeVar

from netsim.datapath.types import Role, Turn
from netsim.engine.background.pacing import AT_ONCE, DATAGRAMS, Pace, Pieces, Setup, Visit, visits
from netsim.engine.kernel.shaping import HEADER_BYTES
from netsim.engine.workload.dns_server import LOCAL_WORK_S, QUERY_WORK_S

if TYPE_CHECKING:
    from netsim.cluster.traffic import Call
    from netsim.engine.kernel.conntrack import Claim
    from netsim.engine.network import Kind
    from netsim.engine.pricing import Tariff
    from netsim.engine.workload.scripts import LookupScript

Key = TypeVar("Key")
End = Literal["source", "target"]
What = Literal["thread", "softirq", "steered", "up", "down", "leaf-up", "leaf-down", "pool", "host", "local-dns"]
Counts = dict[tuple[End, What], dict[Visit, float]]
"""How many jobs of each kind `PAIRS` transactions bring, by where."""


class Job(NamedTuple):
    """One class of work: its pieces and their set-up, and how many of it a transaction brings."""

    pieces: Pieces
    setup: Setup
    per_transaction: float

    @property
    def service_s(self) -> float:
        """Work of all pieces."""
        return self.pieces[0][1] if len(self.pieces) == 1 else fsum(service_s for _, service_s, _ in self.pieces)


Jobs = Mapping[tuple[End, What], tuple[Job, ...]]


class Packet(NamedTuple):
    """A burst of a transaction: from client to server or back, opening its flow or not, with so much payload.

    ``after`` is the position of the burst whose receiver goes on to send this one; ``None`` for what starts by itself.
    ``works`` tells that the receiver works on it before it sends anything, ``turn`` what programs do with it.
    """

    back: bool
    opens: bool
    size: int
    after: int | None = None
    works: bool = False
    turn: Turn = "message"


def packets_of(call: Call, kind: str) -> list[Packet]:
    """Return the bursts of one transaction in the mean, without name resolution."""
    request, response = max(1, round(call.request.mean)), max(1, round(call.response.mean))
    if kind == "udp" or call.keep_alive:
        opens = kind == "udp" and not call.keep_alive
        return [Packet(False, opens, request, works=True), Packet(True, opens, response, after=0)]
    return [
        Packet(False, True, 0),
        Packet(True, True, 0, after=0),
        Packet(False, False, 0, after=1, turn="accept"),
        Packet(False, False, request, after=1, works=True),
        Packet(True, False, 0, after=3, turn="bare"),
        Packet(True, False, response, after=3),
        Packet(False, False, 0, after=5, turn="bare"),
        Packet(False, False, 0, after=5, turn="close"),
        Packet(True, False, 0, after=7, turn="close"),
        Packet(False, False, 0, after=8, turn="bare"),
    ]


def query_packets(script: LookupScript) -> list[Packet]:
    """Return the queries and answers of a lookup; a round starts when the answers of the last are there."""
    packets: list[Packet] = []
    cause: int | None = None
    for each in script.rounds:
        queries = [Packet(False, ask.opens, ask.query_bytes, after=cause) for ask in each.asks]
        packets += queries
        # a server's thread has been off to the workers: each answer is a start of its own
        packets += [
            Packet(True, ask.opens, ask.answer_bytes, after=-1 - len(packets) - index)
            for index, ask in enumerate(each.asks)
        ]
        cause = len(packets) - 1
    return packets


@dataclass(frozen=True, eq=False)
class Exchange:
    """What one transaction of a flow puts on the network.

    ``packets`` are its bursts, ``work`` the server's work as (duration, share), ``kinds`` the kinds of connection of
    random pairs with the Service's position in the rules; ``pace`` is its transport's; ``pooled`` is 1 where a DNS
    server's workers answer, ``local`` tells that it is the cache on the client's node.
    """

    packets: tuple[Packet, ...]
    work: tuple[tuple[float, float], ...]
    kinds: tuple[tuple[Kind, float], ...]
    pace: Pace = DATAGRAMS
    pooled: int = 0
    local: bool = False

    def bits(self, *, back: bool) -> float:
        """Return the bits a transaction sends one way, headers of its segments included."""
        kind, _ = self.kinds[0]
        return fsum(
            8.0 * (packet.size + HEADER_BYTES * tariff_of(kind, packet).segments(packet.size))
            for packet in self.packets if packet.back is back
        )  # fmt: skip

    @cached_property
    def entries(self) -> Mapping[End, tuple[tuple[float, tuple[int, ...]], ...]]:
        """Conntrack entries that transactions of all kinds, one each, keep at an end: lifetime, numbers of them."""
        if not any(packet.opens and not packet.back for packet in self.packets):
            return {"source": (), "target": ()}
        return {
            "source": _by_lifetime(kind.entries.sender for kind, _ in self.kinds),
            "target": _by_lifetime(kind.entries.receiver for kind, _ in self.kinds),
        }

    @cached_property
    def jobs(self) -> Jobs:
        """What a transaction brings to the stations at both ends, averaged over the kinds."""
        counts: Counts = defaultdict(lambda: defaultdict(float))
        for kind, position in self.kinds:
            _add(counts, kind, self, position)
        if self.pooled:
            # queries that leave together come to a server together: one job, which the pool takes apart
            rounds = Counter(packet.after for packet in self.packets if not packet.back)
            for queries in rounds.values():
                work_s = LOCAL_WORK_S if self.local else QUERY_WORK_S
                counts["target", "pool"][_once(work_s * queries)] += float(len(self.kinds))
        if self.local:
            counts = _on_one_node(counts)
        return {
            place: tuple(Job(*visit, number / len(self.kinds)) for visit, number in classes.items())
            for place, classes in counts.items()
        }


def _by_lifetime(claims: Iterable[Claim]) -> tuple[tuple[float, tuple[int, ...]], ...]:
    found: dict[float, list[int]] = {}
    for lifetime_s, entries in chain.from_iterable(claims):
        found.setdefault(lifetime_s, []).append(entries)
    return tuple((lifetime_s, tuple(numbers)) for lifetime_s, numbers in found.items())


_FORTH: Mapping[Role, tuple[End, What]] = {
    Role.SENDER_CORE: ("source", "thread"),
    Role.SENDER_LINK: ("source", "up"),
    Role.LEAF_UP: ("source", "leaf-up"),
    Role.LEAF_DOWN: ("target", "leaf-down"),
    Role.RECEIVER_LINK: ("target", "down"),
    Role.SOFTIRQ_CORE: ("target", "softirq"),
    Role.STEERED_CORE: ("target", "steered"),
    Role.RECEIVER_CORE: ("target", "thread"),
}
_OPPOSITE: Mapping[End, End] = {"source": "target", "target": "source"}


def _add(counts: Counts, kind: Kind, exchange: Exchange, position: float) -> None:
    """Add one transaction: what a thread does in one go is one job, what it sends in one go arrives as one."""
    packets, work = exchange.packets, exchange.work
    turns: dict[tuple[End, int | None], Visit] = {}
    trains: dict[tuple[End, What, int | None], Visit] = {}
    for index, packet in enumerate(packets):
        message, acknowledged = visits(
            exchange.pace, tariff_of(kind, packet), acknowledging(kind, packet), packet.size, position
        )
        for end, what, role, visit in _placed(message, packet.back):
            if what == "thread":
                _join(turns, (end, index if role is Role.RECEIVER_CORE else packet.after), visit)
            else:
                _join(trains, (end, what, packet.after), visit)
        for end, what, role, visit in _placed(acknowledged, not packet.back):
            # no program makes acknowledgements: they start where the card's packets are worked on
            counts[end, "softirq" if role is Role.SENDER_CORE else what][visit] += 1.0
    for (end, what, _), job in trains.items():
        counts[end, what][job] += 1.0
    for (end, cause), job in turns.items():
        worked = cause is not None and packets[cause].works and work
        for extra_s, share in work if worked else ((0.0, 1.0),):
            counts[end, "thread"][_joined(job, _once(extra_s))] += share


def _placed(message: Mapping[Role, Visit], back: bool) -> Iterator[tuple[End, What, Role, Visit]]:
    """Yield where the pieces of a message go that concern its ends' nodes and racks."""
    for role, visit in message.items():
        if role in _FORTH:
            end, what = _FORTH[role]
            yield _OPPOSITE[end] if back else end, what, role, visit


def _once(service_s: float) -> Visit:
    return Visit(((0.0, service_s, 0),), AT_ONCE)


def _join(jobs: dict[Key, Visit], key: Key, visit: Visit) -> None:
    """Add work to a job."""
    known = jobs.get(key)
    jobs[key] = visit if known is None else _joined(known, visit)


def _joined(one: Visit, other: Visit) -> Visit:
    """Return two jobs as one: they start together, and wait for the longer set-up."""
    (_, first, _), *rest = one.pieces
    (_, also, _), *more = other.pieces
    return Visit(((0.0, first + also, 0), *sorted((*rest, *more))), max(one.setup, other.setup))


_OF_NODE: Mapping[tuple[End, What], What] = {("target", "thread"): "host", ("target", "pool"): "local-dns"}


def _on_one_node(counts: Counts) -> Counts:
    """Return the jobs of an exchange with an agent of the client's node: all of them come with the client."""
    found: Counts = defaultdict(lambda: defaultdict(float))
    for (end, what), visits_there in counts.items():
        for visit, number in visits_there.items():
            found["source", _OF_NODE.get((end, what), what)][visit] += number
    return found


def tariff_of(kind: Kind, packet: Packet) -> Tariff:
    """Return what a burst of a transaction pays by."""
    if packet.opens:
        return kind.first_reply if packet.back else kind.first
    following = kind.reply if packet.back else kind.forward
    return following.of_turn(packet.turn)


def acknowledging(kind: Kind, packet: Packet) -> Tariff:
    """Return what acknowledgements of a burst pay by; datagrams, which have none, are given the way back."""
    if packet.back:
        return kind.forward_acks or kind.forward
    return kind.reply_acks or kind.reply


def sent(exchange: Exchange, kind: Kind) -> Iterator[tuple[Tariff, int, float]]:
    """Yield (tariff, payload in bytes, how many) of a transaction's bursts, their acknowledgements included."""
    for packet in exchange.packets:
        tariff = tariff_of(kind, packet)
        sizes = Counter(size for bursts in exchange.pace.windows(tariff, packet.size) for size in bursts)
        for size, number in sizes.items():
            yield tariff, size, float(number)
        if exchange.pace.acknowledges(tariff, packet.size):
            for size, number in sizes.items():
                yield acknowledging(kind, packet), tariff.acknowledgements(size), float(number)
