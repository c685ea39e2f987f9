"""``inspect path``: both directions of a connection, first and established packet, hop by hop."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from netsim.cluster.cluster import Cluster
from netsim.cluster.objects import Node, family_of
from netsim.cluster.service_rules import ProxyMode, ServedPort, Translation, translate
from netsim.cluster.service_rules.config import inside
from netsim.datapath.costs import CostProfile, load_profile
from netsim.datapath.datapath import Datapath
from netsim.datapath.endpoint_names import Named, resolve
from netsim.datapath.parties import FAMILIES, ExternalParty, HostParty, Party, families, pair, terminal
from netsim.datapath.passes import hop_ns, price
from netsim.datapath.path import EXTERNAL, Connection, Path, Terminal
from netsim.datapath.plugin import Plugin
from netsim.datapath.types import LINK_ROLES, Packet, Role, Verdict
from netsim.errors import InputError, Place

STATIONS: dict[Role, str] = {
    Role.SENDER_CORE: "sender's core",
    Role.SENDER_LINK: "uplink",
    Role.LEAF_UP: "leaf uplink",
    Role.LEAF_DOWN: "spine downlink",
    Role.VIA_LINK_IN: "downlink",
    Role.VIA_CORE: "softirq core",
    Role.VIA_LINK_OUT: "uplink",
    Role.VIA_LEAF_UP: "leaf uplink",
    Role.VIA_LEAF_DOWN: "spine downlink",
    Role.RECEIVER_LINK: "downlink",
    Role.SOFTIRQ_CORE: "softirq core",
    Role.STEERED_CORE: "steered softirq core",
    Role.VIA_STEERED_CORE: "steered softirq core",
    Role.RECEIVER_CORE: "receiver's core",
    Role.BORDER: "border",
}
OPENING_BYTES = {"TCP": 0, "UDP": 512, "SCTP": 0}
"""Payload of the packets that open a flow: SYN and SYN-ACK carry none, a datagram is taken as a DNS message."""
PAYLOAD_BYTES = 1024
"""Payload of the later packets shown."""
_NS = 1e-9


@dataclass(frozen=True, slots=True)
class HopLine:
    """One hop of one packet: what it costs its station, what it waits, and the packet as it leaves."""

    hop: str
    node: str
    station: str
    cost_s: float
    latency_s: float
    bytes: int
    src: str
    dst: str
    src_port: int
    dst_port: int
    outer: tuple[str, str] | None

    def to_dict(self) -> dict[str, object]:
        """Return the hop of the **path** document."""
        return {
            "hop": self.hop, "node": self.node, "station": self.station, "cost_s": self.cost_s,
            "latency_s": self.latency_s, "bytes": self.bytes, "src": self.src, "dst": self.dst,
            "src_port": self.src_port, "dst_port": self.dst_port, "outer": list(self.outer) if self.outer else None,
        }  # fmt: skip


@dataclass(frozen=True, slots=True)
class Way:
    """One packet's way through all hops of one direction.

    ``cost_s`` is the CPU work of all cores; ``one_way_s`` the time from the call to the reader on idle machines, with
    links, set-up times and the Service in the middle of its list.
    """

    hops: tuple[HopLine, ...] = ()
    cost_s: float = 0.0
    one_way_s: float = 0.0

    def to_dict(self) -> dict[str, object]:
        """Return the way as the **path** document has it."""
        return {"hops": [line.to_dict() for line in self.hops], "cost_s": self.cost_s, "one_way_s": self.one_way_s}


@dataclass(frozen=True, slots=True)
class PathReport:
    """Both directions of a connection, for the packet that opens it and for later ones.

    ``verdict`` and ``reason`` say whether it comes about at all; a refused one has hops where there is a backend.
    """

    source: str
    target: str
    backend: str
    plugin: str
    proxy: ProxyMode
    verdict: Verdict
    reason: str
    first: Way
    established: Way
    first_reply: Way
    established_reply: Way
    mtu_bytes: int = 0
    warnings: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, object]:
        """Return the **path** document, with the verdict beside it."""
        return {
            "from": self.source,
            "to": self.target,
            "backend": self.backend,
            "plugin": self.plugin,
            "proxy": self.proxy,
            "verdict": self.verdict,
            "reason": self.reason,
            "mtu_bytes": self.mtu_bytes,
            "warnings": list(self.warnings),
            "forward": {"first": self.first.to_dict(), "established": self.established.to_dict()},
            "reverse": {"first": self.first_reply.to_dict(), "established": self.established_reply.to_dict()},
        }


def inspect_path(
    cluster: Cluster,
    plugin: Plugin | str,
    proxy: ProxyMode | None,
    profile: CostProfile | str,
    *,
    from_: str,
    to: str,
    protocol: str = "TCP",
    mtu: int | Literal["auto"] = "auto",
) -> PathReport:
    """Return the path between two ends of a cluster.

    Parameters
    ----------
    cluster: what exists.
    plugin, proxy: how packets are handled; ``proxy`` ``None`` takes the plugin's usual mode.
    profile: costs.
    from_, to: ends: ``namespace/pod``, ``namespace/service:port`` (``to`` only), ``node/NAME``, ``external``. A port
        may follow a pod or node; ``node/NAME:port`` may be a node port. ``to`` may be ``ADDRESS:port``, too: of a pod,
        of a node, of a Service (cluster, external, load balancer), or of a host outside.
    protocol: ``TCP``, ``UDP`` or ``SCTP``; a Service that has the port in another protocol only decides itself.
    mtu: pod MTU in bytes, or ``auto``.

    Raises
    ------
    InputError
        When an end does not exist, or plugin and proxy mode cannot be combined.
    """
    costs = load_profile(profile) if isinstance(profile, str) else profile
    datapath = Datapath(cluster, plugin, proxy, costs.prices(), mtu=mtu, alike=False)
    return _Inspection(datapath, protocol).report(resolve(cluster, from_, "from"), resolve(cluster, to, "to"))


@dataclass(frozen=True, slots=True)
class _Inspection:
    """One question to one datapath."""

    datapath: Datapath
    protocol: str

    def report(self, source: Named, target: Named) -> PathReport:
        """Return the report between two named ends."""
        if source.party is None:
            message = "a connection starts at a pod, a node or outside, not at a Service"
            raise InputError(message, place=Place(field="from"), got=source.text)
        if target.service in self.datapath.services.direct:
            target = self._behind(target)
        served = self._served(target)
        if served is not None:
            return self._through_service(source, source.party, target, served)
        assert target.party is not None
        if isinstance(source.party, ExternalParty) and isinstance(target.party, ExternalParty):
            raise InputError("both ends are outside the cluster", place=Place(field="to"), got=target.text)
        one, other = pair(self.datapath.cluster, source.party, target.party)
        unserved = self._unserved(one, target)
        if unserved is not None:
            return self._refused(source, target, unserved, outside=False)
        return self._report(source, target, Connection(one, other, self.protocol, target.port or self._port(other)))

    def _unserved(self, source: Terminal, target: Named) -> Translation | None:
        """Return what the client's node does with an address of the Services' that no Service has at this port."""
        table = self.datapath.services.table(family_of(target.address)) if target.address else None
        if table is None or source.node is None:
            return None
        if target.address not in table.service_addresses and not inside(target.address, table.service_cidrs):
            return None
        return translate(table, source.node, source.address, (target.address, target.port), self.protocol)

    def _behind(self, target: Named) -> Named:
        """Return the first pod of a Service without a proxy, to which its DNS name leads.

        Raises
        ------
        InputError
            When the Service has no ready pod.
        """
        cluster = self.datapath.cluster
        ready = [end for end in cluster.endpoints(target.service) if end.ready and end.pod]
        if not ready:
            message = f"{target.service} has no address of its own and no ready pod, so its name leads nowhere"
            raise InputError(message, place=Place(field="to"), got=target.text)
        pod = next(index for index, item in enumerate(cluster.pods) if item.key == ready[0].pod)
        ports = ready[0].ports
        return Named(target.text, pod, port=target.port or (ports[0].port if ports else 0))

    def _served(self, target: Named) -> ServedPort | None:
        """Return the Service port that is addressed, by its name or as a node port."""
        services = self.datapath.services
        if target.address:
            at = services.table(family_of(target.address))
            return at.by_address.get((self.protocol, target.address, target.port)) if at is not None else None
        if target.service:
            known = services.cluster.services_by_key[target.service]
            ports = [port for port in known.ports if port.port == target.port] if target.port else list(known.ports)
            protocols = [port.protocol for port in ports]
            number = target.port or (ports[0].port if ports else 0)
            protocol = self.protocol if self.protocol in protocols or not protocols else protocols[0]
            return services.find(target.service, number, protocol, FAMILIES)[1]
        if isinstance(target.party, HostParty) and target.port:
            tables = (services.table(family) for family in FAMILIES)
            found = (table.by_node_port.get((self.protocol, target.port)) for table in tables if table is not None)
            return next((port for port in found if port is not None), None)
        return None

    def _port(self, end: Terminal) -> int:
        ports = end.pod.template.ports if end.pod is not None else ()
        return next((item.port for item in ports if item.protocol == self.protocol), 80)

    # ---------------------------------------------------------------- Services

    def _through_service(self, source: Named, party: Party, target: Named, served: ServedPort) -> PathReport:
        """Choose a backend as the translating node would, a remote one before one of its own."""
        datapath = self.datapath
        one = terminal(datapath.cluster, party, served.family)
        entry = self._entry(party, target, served)
        translator = entry or one.node
        assert translator is not None
        table = datapath.services.table(served.family)
        assert table is not None
        frontend = self._frontend(target, served, entry, translator)
        found = translate(table, translator, one.address, frontend, served.protocol)
        if found.outcome != "DNAT":
            return self._refused(source, target, found, outside=one.node is None)
        backend = next((end for end in found.backends if end.node != translator.name), found.backends[0])
        other = self._backend(backend.address, served)
        hidden = None if found.kind == "cluster" else found.masquerades(backend)
        asked = datapath.through_service(
            one, other, served, backend.port, entry, frontend=frontend, masquerade=hidden
        )
        bypassed = asked.via is not None and not asked.masquerade
        return self._report(source, target, asked, lost=found.reply_lost or bypassed)

    def _frontend(
        self, target: Named, served: ServedPort, entry: Node | None, translator: Node
    ) -> tuple[str, int]:
        """Return the address and port the client writes; in eBPF any node's address means the client's own."""
        if target.address:
            return target.address, target.port
        if isinstance(target.party, HostParty):
            node = entry or translator
            own = next((a for a in node.addresses if family_of(a) == served.family), node.name)
            return own, served.node_port
        return self.datapath.services.frontend(served, entry)

    def _entry(self, party: Party, target: Named, served: ServedPort) -> Node | None:
        """Return the node where traffic enters: the one named, or for the outside one that shows what can happen.

        Under policy Cluster that is a node without a backend, so that the second hop is seen; under policy Local one
        with a backend, to which a load balancer would send.
        """
        cluster = self.datapath.cluster
        if isinstance(target.party, HostParty):
            node = cluster.nodes[target.party.node]
            own = families(cluster, party) and not isinstance(party, ExternalParty)
            if own and self.datapath.proxy == "ebpf":
                return None  # connect() exchanges the address of whatever node
            at_home = own and terminal(cluster, party).node_name == node.name
            return None if at_home else node
        if not isinstance(party, ExternalParty):
            return None
        homes = {end.node for end in served.backends}
        wanted = [node for node in cluster.nodes if (node.name in homes) == served.external_local]
        return (wanted or list(cluster.nodes))[0]

    def _backend(self, address: str, served: ServedPort) -> Terminal:
        """Return the end behind an endpoint's address: a pod, a node's process, or a host outside."""
        cluster = self.datapath.cluster
        pod = cluster.pods_by_address.get(address)
        if pod is not None:
            node = cluster.nodes[cluster.node_index[pod.node]]
            return Terminal(pod.key, address, node, pod)
        node_of = next((node for node in cluster.nodes if address in node.addresses), None)
        return Terminal(f"node/{node_of.name}" if node_of else EXTERNAL, address, node_of)

    def _refused(self, source: Named, target: Named, found: Translation, *, outside: bool) -> PathReport:
        verdict: Verdict = "REJECT" if found.outcome == "REJECT" else "DROP"
        dropped = "the proxy drops it: source not admitted, or policy Local without an endpoint on the node"
        if found.port is None:
            dropped = "the proxy drops it: no Service has this address"
        if outside and found.kind == "cluster":
            dropped = "a cluster IP is answered to the inside only"
        reasons = {
            "REJECT": "the Service has no usable endpoint: refused at once" if found.port is not None
            else "no Service has this address and port: refused at once",
            "DROP": dropped,
            "ACCEPT": "a health-check port of the proxy answers itself",
            "NONE": "no rule for this address and port: the packet leaves by the default route, and nothing answers",
        }
        datapath = self.datapath
        return PathReport(
            source.text, target.text, "", datapath.plugin.name, datapath.proxy, verdict,
            f"{reasons[found.outcome]} ({found.node})", Way(), Way(), Way(), Way(),
        )  # fmt: skip

    # ---------------------------------------------------------------- the connection

    def _report(self, source: Named, target: Named, asked: Connection, *, lost: bool = False) -> PathReport:
        datapath = self.datapath
        case = datapath.policing.case(asked)
        verdict, reason = datapath.answer(asked, case)
        if lost:
            verdict, reason = "DROP", "the reply bypasses the node that translated, so the client waits in vain"
        forward, reply = datapath.paths(asked, case)
        sizes = datapath.mtus(asked)
        warnings = [note.text for note in datapath.notes]
        if asked.frontend is not None and asked.source.node is None and asked.frontend[0] in self._cluster_ips():
            warnings.append("networks outside have no route to a cluster IP: shown as if the packet had reached a node")
        if sizes.black_hole:
            warnings.append(sizes.warning)
        return PathReport(
            source.text, target.text, asked.target.name, datapath.plugin.name, datapath.proxy, verdict, reason,
            first=self._way(forward, Packet(True, False, asked.protocol), sizes.used),
            established=self._way(forward, Packet(False, False, asked.protocol), sizes.used),
            first_reply=self._way(reply, Packet(True, True, asked.protocol), sizes.used),
            established_reply=self._way(reply, Packet(False, True, asked.protocol), sizes.used),
            mtu_bytes=sizes.used,
            warnings=tuple(warnings),
        )  # fmt: skip

    def _cluster_ips(self) -> frozenset[str]:
        tables = (self.datapath.services.table(family) for family in FAMILIES)
        return frozenset(address for table in tables if table is not None for address in table.cluster_ips)

    def _way(self, path: Path, packet: Packet, mtu_bytes: int) -> Way:
        """Price one packet on idle machines."""
        payload = OPENING_BYTES[packet.protocol] if packet.first else PAYLOAD_BYTES
        segments = max(1, -(-payload // max(1, mtu_bytes - path.start.header_bytes + 14)))
        lines = tuple(self._lines(path, packet, payload, segments))
        links = {STATIONS[role] for role in LINK_ROLES}
        work = math.fsum(line.cost_s for line in lines if line.station not in links)
        return Way(lines, work, math.fsum(line.cost_s + line.latency_s for line in lines))

    def _lines(self, path: Path, packet: Packet, payload: int, segments: int) -> Iterator[HopLine]:
        for item in price(path, packet, self.datapath.prices_on):
            crossing, bill, behind = item.crossing, item.bill, item.after
            yield HopLine(
                crossing.hop.name, crossing.node, STATIONS[crossing.role], hop_ns(bill, payload, segments) * _NS,
                (bill.latency_ns + bill.setup_ns) * _NS, payload + segments * behind.header_bytes,
                behind.src, behind.dst, behind.src_port, behind.dst_port, behind.outer,
            )  # fmt: skip
