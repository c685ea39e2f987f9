"""What a topology should cost: its boxes as hops of the datapath, and each probe's bill as counts of prices.

The hops are those a simulated cluster crosses. A bill is a sum of prices times counts, so billing under a profile whose
only price is 1 for one key gives that key's count. The counts are the design matrix that `derive` solves, and the
same counts times the solved prices are a prediction: one mechanism both ways.

Rules cost differently by back-end and place, which a cost profile for clusters does not distinguish; `Renamed` lets the
same hop read such a finer price.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Literal

from netsim.calibration.kernel.probes import ProbeName
from netsim.calibration.kernel.topologies import Box, Kind, Policy, Services, Topology
from netsim.cluster.service_rules import Walk, WalkModel
from netsim.datapath.bridge import Bridge, BridgeHooks, GatewayHooks, Switch
from netsim.datapath.conntrack import Conntrack
from netsim.datapath.costs import Prices
from netsim.datapath.encapsulation import Decapsulate, Encapsulate, Encapsulation, OuterConntrack
from netsim.datapath.enforcement import Enforcement
from netsim.datapath.netfilter import Hook
from netsim.datapath.passes import repeats
from netsim.datapath.policy import PolicyWalk
from netsim.datapath.routing import Route
from netsim.datapath.service_nat import NoService, RuleNat
from netsim.datapath.step import Nat, PolicyWalks, ServiceWalks, Tunnel
from netsim.datapath.types import Bill, Hop, Packet
from netsim.datapath.veth import Veth

BASE = "base"
"""The price of an exchange's system calls, sockets and stack at both ends, whatever lies between."""

Protocol = Literal["TCP", "UDP"]

_TUNNEL = Tunnel("172.16.0.1", "172.16.0.2")
_NAT = Nat(("10.50.0.1", 40000), ("10.97.0.1", 80), ("10.50.1.2", 5001))
_OVERHEAD_BYTES = Encapsulation(kind="vxlan").overhead_bytes()


@dataclass(frozen=True, slots=True)
class Renamed:
    """A hop that reads some of its prices under other names."""

    hop: Hop | _Chain
    names: Mapping[str, str]

    @property
    def name(self) -> str:
        """Name of the hop itself."""
        return self.hop.name

    def bill(self, packet: Packet, prices: Prices) -> Bill:
        """Charge the hop with the other prices."""
        return self.hop.bill(packet, _View(prices.values, prices=prices, names=self.names))


@dataclass(frozen=True)
class _View(Prices):
    """Prices under other names."""

    prices: Prices = field(default_factory=lambda: Prices({}))
    names: Mapping[str, str] = field(default_factory=dict)

    def __getitem__(self, key: str) -> float:
        return self.prices[self.names.get(key, key)]


@dataclass(frozen=True)
class _One(Prices):
    """Prices of which one is 1 and the others nothing; what is asked for is remembered."""

    key: str = ""
    asked: set[str] = field(default_factory=set)

    def __getitem__(self, key: str) -> float:
        self.asked.add(key)
        return 1.0 if key == self.key else 0.0


@dataclass(frozen=True, slots=True)
class _Upwards:
    """A hop of packets that go up at a gateway: of ``replies`` where the server is behind it, else requests."""

    hop: Hop
    replies: bool

    @property
    def name(self) -> str:
        """Name of the hop itself."""
        return self.hop.name

    def bill(self, packet: Packet, prices: Prices) -> Bill:
        """Charge packets that go up."""
        return self.hop.bill(packet, prices) if packet.reply is self.replies else Bill()


Crossed = Hop | Renamed | _Upwards
"""What `counts` bills; nothing here rewrites headers."""


@dataclass(frozen=True, slots=True)
class Count:
    """How often an exchange pays a price: by a packet's first meeting with a mechanism, and by repeated ones."""

    once: float = 0.0
    again: float = 0.0

    def times(self, repeat: float) -> float:
        """Return the count when a repetition costs ``repeat`` times the first meeting.

        A mechanism met before in the same packet's way has its code in the processor's nearest cache.
        """
        return self.once + repeat * self.again


@cache
def counts(topology: Topology, probe: ProbeName, packets: tuple[int, int]) -> Mapping[str, Count]:
    """Return how often an exchange pays each price.

    Parameters
    ----------
    topology: the path.
    probe: the exchange.
    packets: packets an exchange sends from the client and from the server.
    """
    protocol: Protocol = "TCP" if probe.startswith("tcp") else "UDP"
    opens = int(probe in ("udp_new_flow", "tcp_crr"))
    paid = {BASE: Count(once=1.0)}
    for hop, repeated in _marked(_path(topology, protocol)):
        for reply, number in zip((False, True), packets, strict=True):
            for first, times in ((True, min(opens, number)), (False, number - min(opens, number))):
                packet = Packet(first=first, reply=reply, protocol=protocol)
                for key, count in _counted(hop, packet).items():
                    before, more = paid.get(key, Count()), times * count
                    new = (before.once, before.again + more) if repeated else (before.once + more, before.again)
                    paid[key] = Count(*new)
    return {key: count for key, count in paid.items() if count != Count()}


def _counted(hop: Crossed, packet: Packet) -> dict[str, float]:
    """Return how often one packet pays each price at a hop: the bill where one key costs 1 and the others nothing."""
    asking = _One({})
    hop.bill(packet, asking)
    return {key: hop.bill(packet, _One({}, key=key)).packet_ns for key in sorted(asking.asked)}


def _marked(hops: Iterator[Crossed]) -> Iterator[tuple[Crossed, bool]]:
    """Yield hops and whether the packet ran their code before."""
    met: set[str] = set()
    for hop in hops:
        yield hop, repeats(hop.name, met)


def _path(topology: Topology, protocol: Protocol) -> Iterator[Crossed]:
    """Yield every hop of the way, which is the same set in both directions."""
    boxes, translator = topology.boxes, topology.translator
    for link in range(len(boxes) + 1):
        if link == 0 or boxes[link - 1].kind is not Kind.REDIRECT_PEER:
            yield Veth()
        if link in topology.tunnels:
            # every tunnel is entered and left once: only the sum can be told, and each end is given half of it
            yield Renamed(Encapsulate(_TUNNEL, _OVERHEAD_BYTES), {"encap.packet": "tunnel.packet"})
            yield Renamed(Decapsulate(_OVERHEAD_BYTES), {"decap.packet": "tunnel.packet"})
            yield from _outer(boxes[link - 1])
            yield from _outer(boxes[link])
    for index, box in enumerate(boxes):
        yield from _inner(box, index == translator, protocol)


def _inner(box: Box, translates: bool, protocol: Protocol) -> Iterator[Crossed]:
    """Yield what a packet meets in a box."""
    if box.kind in (Kind.REDIRECT, Kind.REDIRECT_PEER):
        yield Renamed(Switch(), {"bridge.packet": "bpf.redirect"})
    if box.kind is Kind.SWITCH:
        yield Switch()
    if box.kind.gateway:
        yield Bridge()
    if box.kind.forwards:
        yield Route()
    if box.bridge_netfilter:
        yield _Upwards(GatewayHooks(), box.kind is Kind.NODE_RIGHT) if box.kind.gateway else BridgeHooks()
    if box.tracks:
        yield Conntrack()
    if box.services is not None and translates:
        yield _translation(box.services, protocol)
    elif box.services is not None:
        yield Renamed(NoService(_walk(box.services)), _service_prices(box.services, protocol))
    if box.policy is not None:
        yield Renamed(Hook("netfilter.forward"), {"netfilter.hook": f"netfilter.hook.{box.policy.backend}"})
        yield _policy(box.policy, protocol)


def _outer(box: Box) -> Iterator[Crossed]:
    """Yield what a tunnel's outer packets meet in the tables of the box they leave or reach."""
    if box.tracks:
        yield OuterConntrack(per_flow=True, name=Conntrack().name)
    if box.services is not None:
        yield Renamed(NoService(_walk(box.services), outer=True), _service_prices(box.services, "UDP"))


def _translation(services: Services, protocol: Protocol) -> Renamed:
    walk = _walk(services)
    model = WalkModel(before=int(walk.nat_mean), lookups=walk.lookups)
    return Renamed(RuleNat(ServiceWalks(service=model), _NAT), _service_prices(services, protocol))


def _walk(services: Services) -> Walk:
    """Return what a new connection walks: the other Services' rules, or one look-up instead of them."""
    if services.backend == "nftables":
        return Walk(lookups=1)
    return Walk(nat_mean=float(services.others))


def _service_prices(services: Services, protocol: Protocol) -> Mapping[str, str]:
    return {
        "rule.first": f"rule.service.{services.backend}.{protocol}",
        "nat.new": f"nat.new.{services.backend}",
    }


def _policy(policy: Policy, protocol: Protocol) -> Renamed:
    """Return the filter chain: known connections are spared the rules where state is looked at first."""
    number = float(policy.rules)
    walk = {
        "address": PolicyWalk(rules=number),
        "port": PolicyWalk(rules=number, port_matches=number),
        "ipset": PolicyWalk(ipset_lookups=number),
        "map": PolicyWalk(map_lookups=number),
    }[policy.match]
    rule, port = f"rule.policy.{policy.backend}", f"rule.port_match.{policy.backend}.{protocol}"
    names = {
        "rule.first": rule,
        "rule.established": rule,
        "rule.port_match": port,
        "ipset.lookup": f"ipset.lookup.{policy.backend}",
        "ebpf.lookup": "map.lookup",
    }
    return Renamed(_Chain(walk, policy.stateful), names)


@dataclass(frozen=True, slots=True)
class _Chain:
    """A filter chain walked by the opening packet alone, or by every packet."""

    walk: PolicyWalk
    stateful: bool
    name: str = "policy"

    def bill(self, packet: Packet, prices: Prices) -> Bill:
        walked = not self.stateful or packet.new
        walk = self.walk if walked else PolicyWalk()
        return Enforcement(PolicyWalks(walk, walk)).bill(packet, prices)
