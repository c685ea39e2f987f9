"""An independent kube-proxy in iptables mode: it writes every rule, and walks packets through them one rule at a time.

Slow and literal, so that the formulas of the product can be compared with it. It knows readiness, locality and traffic
policies, but no topology hints.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from ipaddress import ip_address, ip_network

from netsim.cluster.objects import Endpoint, Node, Service, ServicePort


@dataclass(frozen=True)
class Rule:
    """One ``-A`` line: what it asks, and where a packet that matches goes."""

    target: str
    protocol: str = ""
    destination: str = ""
    port: int = 0
    sources: tuple[str, ...] = ()
    invert_source: bool = False
    source_local: bool = False
    destination_local: bool = False
    not_destinations: tuple[str, ...] = ()
    marked: bool | None = None
    states: tuple[str, ...] = ()
    pick: int = -1
    recent: bool = False
    to: tuple[str, int] = ("", 0)


@dataclass
class Packet:
    source: str
    destination: str
    port: int
    protocol: str
    local: frozenset[str]
    pick: int = 0
    state: str = "NEW"
    mark: bool = False
    masqueraded: bool = False
    met: Counter[str] = field(default_factory=Counter)


def selected(service: Service, ends: tuple[Endpoint, ...], node: str) -> tuple[list[Endpoint], list[Endpoint]]:
    ready = [end for end in ends if end.ready]
    fading = [end for end in ends if not end.ready and end.serving and end.terminating]
    near_ready = [end for end in ready if end.node == node]
    near = near_ready or [end for end in fading if end.node == node]
    return ready or fading, near


class Oracle:
    """The two tables of one node for Services in a given order."""

    def __init__(self, node: Node, pod_cidr: str, masquerade_all: bool = False) -> None:
        self.node, self.pods, self.masquerade_all = node, pod_cidr, masquerade_all
        self.nat: dict[str, list[Rule]] = {
            "PREROUTING": [Rule("KUBE-SERVICES")],
            "POSTROUTING": [Rule("KUBE-POSTROUTING")],
            "KUBE-SERVICES": [],
            "KUBE-NODEPORTS": [],
            "KUBE-MARK-MASQ": [Rule("MARK")],
            "KUBE-POSTROUTING": [Rule("RETURN", marked=False), Rule("UNMARK"), Rule("MASQUERADE")],
        }
        new = ("NEW",)
        jumps = [
            Rule("KUBE-PROXY-FIREWALL", states=new),
            Rule("KUBE-FORWARD"),
            Rule("KUBE-SERVICES", states=new),
            Rule("KUBE-EXTERNAL-SERVICES", states=new),
        ]
        inputs = [
            Rule("KUBE-FIREWALL"),
            Rule("KUBE-PROXY-FIREWALL", states=new),
            Rule("KUBE-NODEPORTS"),
            Rule("KUBE-EXTERNAL-SERVICES", states=new),
        ]
        self.filter: dict[str, list[Rule]] = {
            "FORWARD": jumps,
            "INPUT": inputs,
            "KUBE-SERVICES": [],
            "KUBE-EXTERNAL-SERVICES": [],
            "KUBE-PROXY-FIREWALL": [],
            "KUBE-NODEPORTS": [],
            "KUBE-FIREWALL": [
                Rule("DROP", destination="127.0.0.1", sources=("127.0.0.0/8",), invert_source=True, states=("NEW",))
            ],
            "KUBE-FORWARD": [
                Rule("DROP", states=("INVALID",)),
                Rule("ACCEPT", marked=True),
                Rule("ACCEPT", states=("ESTABLISHED",)),
            ],
        }

    def finish(self) -> None:
        """Write the last rule of KUBE-SERVICES."""
        self.nat["KUBE-SERVICES"].append(Rule("KUBE-NODEPORTS", destination_local=True))

    def add(  # noqa: PLR0912, PLR0915 - one literal loop body
        self, service: Service, port: ServicePort, ends: tuple[Endpoint, ...]
    ) -> None:
        """Write the rules of one Service port, in the order of ``syncProxyRules``."""
        anywhere, near = selected(service, ends, self.node.name)
        usable = bool(anywhere)
        outside_local = service.external_traffic_policy == "Local" and (
            service.type != "ClusterIP" or bool(service.external_ips)
        )
        inner_local = service.internal_traffic_policy == "Local"
        addresses = [*service.external_ips, *service.load_balancer_ips]
        reachable = bool(addresses) or bool(port.node_port)
        name = f"{service.key}:{port.name}"
        cluster_chain, local_chain, external_chain, firewall = (
            f"KUBE-{kind}-{name}" for kind in ("SVC", "SVL", "EXT", "FW")
        )
        inner = near if inner_local else anywhere
        outer = near if outside_local else anywhere
        guarded = usable and bool(service.load_balancer_ips) and bool(service.source_ranges)
        refusal = "DROP" if usable else "REJECT"
        to = {"protocol": port.protocol, "port": port.port}
        cluster_ip = service.cluster_ips[0]
        inner_chain = local_chain if inner_local else cluster_chain

        if inner:
            self.nat["KUBE-SERVICES"].append(Rule(inner_chain, destination=cluster_ip, **to))
        else:
            self.filter["KUBE-SERVICES"].append(Rule(refusal, destination=cluster_ip, **to))
        for address in addresses:
            balanced = address in service.load_balancer_ips and guarded
            if usable:
                target = firewall if balanced else external_chain
                self.nat["KUBE-SERVICES"].append(Rule(target, destination=address, **to))
            if balanced:
                self.filter["KUBE-PROXY-FIREWALL"].append(Rule("DROP", destination=address, **to))
            if not outer:
                self.filter["KUBE-EXTERNAL-SERVICES"].append(Rule(refusal, destination=address, **to))
        if port.node_port:
            here = {"protocol": port.protocol, "port": port.node_port}
            if usable:
                self.nat["KUBE-NODEPORTS"].append(Rule(external_chain, **here))
            if not outer:
                self.filter["KUBE-EXTERNAL-SERVICES"].append(Rule(refusal, destination_local=True, **here))
        if service.health_check_node_port and outside_local and service.type == "LoadBalancer":
            check = Rule("ACCEPT", protocol="TCP", port=service.health_check_node_port)
            self.filter["KUBE-NODEPORTS"].append(check)

        if inner:
            self.nat.setdefault(inner_chain, []).append(
                Rule("KUBE-MARK-MASQ", destination=cluster_ip, **to)
                if self.masquerade_all
                else Rule("KUBE-MARK-MASQ", destination=cluster_ip, sources=(self.pods,), invert_source=True, **to)
            )
        if usable and reachable:
            chain = self.nat.setdefault(external_chain, [])
            if outside_local:
                chain.append(Rule(cluster_chain, sources=(self.pods,)))
                chain.append(Rule("KUBE-MARK-MASQ", source_local=True))
                chain.append(Rule(cluster_chain, source_local=True))
            else:
                chain.append(Rule("KUBE-MARK-MASQ"))
            if outer:
                chain.append(Rule(local_chain if outside_local else cluster_chain))
        if guarded:
            chain = self.nat.setdefault(firewall, [])
            chain.extend(Rule(external_chain, sources=(cidr,)) for cidr in service.source_ranges)
            if any(ip_address(self.node.addresses[0]) in ip_network(cidr) for cidr in service.source_ranges):
                chain.extend(Rule(external_chain, sources=(f"{ip}/32",)) for ip in service.load_balancer_ips)
            chain.append(Rule("COMMENT"))
        if anywhere and (not inner_local or reachable):
            self.endpoints(cluster_chain, name, anywhere, service, port)
        if near and (inner_local or (outside_local and reachable)):
            self.endpoints(local_chain, name, near, service, port)

    def endpoints(self, chain: str, name: str, ends: list[Endpoint], service: Service, port: ServicePort) -> None:
        rules = self.nat.setdefault(chain, [])
        if service.affinity_s is not None:
            rules.extend(Rule(f"KUBE-SEP-{name}-{end.address}", recent=True) for end in ends)
        rules.extend(Rule(f"KUBE-SEP-{name}-{end.address}", pick=index) for index, end in enumerate(ends))
        for end in ends:
            self.nat[f"KUBE-SEP-{name}-{end.address}"] = [
                Rule("KUBE-MARK-MASQ", sources=(f"{end.address}/32",)),
                Rule("DNAT", protocol=port.protocol, to=(end.address, end.ports[0].port)),
            ]

    # ------------------------------------------------------------------------------------------------ walking

    def matches(self, rule: Rule, packet: Packet) -> bool:
        inside = any(ip_address(packet.source) in ip_network(cidr) for cidr in rule.sources)
        return (
            (not rule.protocol or rule.protocol == packet.protocol)
            and (not rule.destination or rule.destination == packet.destination)
            and (not rule.port or rule.port == packet.port)
            and (not rule.sources or inside != rule.invert_source)
            and (not rule.source_local or packet.source in packet.local)
            and (not rule.destination_local or packet.destination in packet.local)
            and (rule.marked is None or rule.marked == packet.mark)
            and (not rule.states or packet.state in rule.states)
            and (rule.pick < 0 or rule.pick == packet.pick)
            and not rule.recent
        )

    def run(self, table: str, chain: str, packet: Packet) -> str:
        """Return the verdict of a chain, empty when the packet comes out at its end."""
        chains = self.nat if table == "nat" else self.filter
        for rule in chains[chain]:
            packet.met[table] += 1
            if not self.matches(rule, packet):
                continue
            if rule.target in chains:
                verdict = self.run(table, rule.target, packet)
                if verdict:
                    return verdict
            elif rule.target == "RETURN":
                return ""
            elif rule.target in ("MARK", "UNMARK"):
                packet.masqueraded |= rule.target == "MARK"
                packet.mark = rule.target == "MARK"
            elif rule.target == "DNAT":
                packet.destination, packet.port = rule.to
                return "DNAT"
            elif rule.target != "COMMENT":
                return rule.target
        return ""

    def send(self, packet: Packet) -> str:
        """Take a new packet through PREROUTING, INPUT or FORWARD, and POSTROUTING."""
        verdict = self.run("nat", "PREROUTING", packet)
        into = packet.destination in packet.local
        answer = self.run("filter", "INPUT" if into else "FORWARD", packet)
        if answer in ("DROP", "REJECT"):
            return answer
        if not into:
            self.run("nat", "POSTROUTING", packet)
        return verdict or (answer if into else "")

    def counts(self, table: str) -> dict[str, int]:
        """Rules by chain without the built-in ones, hashed chains under their prefix."""
        found: Counter[str] = Counter()
        for chain, rules in (self.nat if table == "nat" else self.filter).items():
            if chain.startswith("KUBE-"):
                prefix = "-".join(chain.split("-")[:2])
                hashed = prefix in ("KUBE-SVC", "KUBE-SVL", "KUBE-EXT", "KUBE-FW", "KUBE-SEP")
                found[prefix if hashed else chain] += len(rules)
        return {chain: number for chain, number in found.items() if number}
