"""kube-proxy, ipvs mode (``pkg/proxy/ipvs/proxier.go`` of Kubernetes 1.28): virtual servers, ipsets, constant rules."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import NamedTuple

from netsim.cluster.service_rules.categorize import Choice
from netsim.cluster.service_rules.config import ProxyConfig, ProxyMode, inside
from netsim.cluster.service_rules.counts import Counts, Shared, Site, SyncWork, by_name, total
from netsim.cluster.service_rules.ports import Backend, ServedPort
from netsim.cluster.service_rules.walks import Walk, WalkModel, Where

SERVER_ROWS = 256
"""Rows of the kernel's table of virtual servers, whatever their number (``IP_VS_SVC_TAB_BITS``, ip_vs_ctl.c)."""


class SetRules(NamedTuple):
    """Rules that exist while an ipset is not empty."""

    table: str
    chain: str
    number: int = 1


RULES_OF_SET = {
    "KUBE-LOOP-BACK": (SetRules("nat", "KUBE-POSTROUTING"),),
    "KUBE-LOAD-BALANCER": (SetRules("nat", "KUBE-SERVICES", 2),),
    "KUBE-LOAD-BALANCER-LOCAL": (SetRules("nat", "KUBE-LOAD-BALANCER"),),
    "KUBE-LOAD-BALANCER-FW": (SetRules("filter", "KUBE-PROXY-FIREWALL"),),
    "KUBE-LOAD-BALANCER-SOURCE-CIDR": (SetRules("filter", "KUBE-SOURCE-RANGES-FIREWALL"),),
    "KUBE-LOAD-BALANCER-SOURCE-IP": (SetRules("filter", "KUBE-SOURCE-RANGES-FIREWALL"),),
    "KUBE-CLUSTER-IP": (SetRules("nat", "KUBE-SERVICES", 2),),
    "KUBE-EXTERNAL-IP": (SetRules("nat", "KUBE-SERVICES", 3),),
    "KUBE-EXTERNAL-IP-LOCAL": (SetRules("nat", "KUBE-SERVICES", 2),),
    **{
        f"KUBE-NODE-PORT-{kind}": (SetRules("nat", "KUBE-NODE-PORT"),)
        for kind in ("TCP", "LOCAL-TCP", "UDP", "LOCAL-UDP", "SCTP-HASH", "LOCAL-SCTP-HASH")
    },
}
"""From writeIptablesRules and acceptIPVSTraffic: one line an entry of ipsetWithIptablesChain, or as written out."""

FIXED_RULES = (
    SetRules("nat", "KUBE-SERVICES", 2),  # packets from loopback return; local destinations go to KUBE-NODE-PORT
    SetRules("nat", "KUBE-LOAD-BALANCER"),
    SetRules("nat", "KUBE-POSTROUTING", 3),
    SetRules("nat", "KUBE-MARK-MASQ"),
    SetRules("filter", "KUBE-SOURCE-RANGES-FIREWALL"),
    SetRules("filter", "KUBE-FORWARD", 2),
    SetRules("filter", "KUBE-NODE-PORT"),
    SetRules("filter", "KUBE-IPVS-FILTER", 5),
)


@dataclass(frozen=True, slots=True)
class Ipvs:
    """Counts and walks of ipvs mode."""

    config: ProxyConfig

    @property
    def mode(self) -> ProxyMode:
        """Name of the mode."""
        return "ipvs"

    def port_counts(self, port: ServedPort, choice: Choice, site: Site) -> Counts:
        """Count virtual and real servers and set entries of one Service port at a node."""
        counts: Counts = Counter()
        nodes = _node_port_addresses(site) if port.node_port else 0
        outside = len(port.external_ips) + len(port.load_balancer_ips) + nodes
        counts["virtual_servers", ""] = 1 + outside
        internal, external = (self.servers(choice, local) for local in (port.internal_local, port.external_local))
        counts["real_servers", ""] = len(internal) + outside * len(external)
        counts["ipset", "KUBE-CLUSTER-IP"] = 1
        local = "-LOCAL" if port.external_local else ""
        counts["ipset", f"KUBE-EXTERNAL-IP{local}"] = len(port.external_ips)
        counts["ipset", "KUBE-HEALTH-CHECK-NODE-PORT"] = int(port.health_check_port > 0)
        self._count_load_balancer(counts, port, site)
        if nodes:
            self._count_node_port(counts, port, nodes)
        return counts

    @staticmethod
    def servers(choice: Choice, local: bool) -> tuple[Backend, ...]:
        """Real servers under a traffic policy: without local ones, policy Local falls back to those of the cluster."""
        return (choice.local or choice.cluster) if local else choice.cluster

    @staticmethod
    def _count_load_balancer(counts: Counts, port: ServedPort, site: Site) -> None:
        addresses = len(port.load_balancer_ips)
        counts["ipset", "KUBE-LOAD-BALANCER"] = addresses
        if port.external_local:
            counts["ipset", "KUBE-LOAD-BALANCER-LOCAL"] = addresses
        if port.filtered:
            counts["ipset", "KUBE-LOAD-BALANCER-FW"] = addresses
            counts["ipset", "KUBE-LOAD-BALANCER-SOURCE-CIDR"] = addresses * len(port.source_ranges)
            if inside(site.primary, port.source_ranges):
                counts["ipset", "KUBE-LOAD-BALANCER-SOURCE-IP"] = addresses

    @staticmethod
    def _count_node_port(counts: Counts, port: ServedPort, nodes: int) -> None:
        """TCP and UDP ports are bits of a bitmap; SCTP has an entry for each node address."""
        hashed = port.protocol == "SCTP"
        kind = "SCTP-HASH" if hashed else port.protocol
        entries = nodes if hashed else 1
        counts["ipset", f"KUBE-NODE-PORT-{kind}"] = entries
        if port.external_local:
            counts["ipset", f"KUBE-NODE-PORT-LOCAL-{kind}"] = entries

    def node_counts(self, site: Site, shared: Shared, ports: Counts) -> Counts:
        """Count the addresses bound to kube-ipvs0, hairpin entries of local endpoints, and the iptables rules."""
        counts: Counts = Counter()
        counts["ipset", "KUBE-LOOP-BACK"] = shared.loopback
        own = sum(address in shared.service_addresses for address in site.addresses)
        counts["ipset", "KUBE-IPVS-IPS"] = len(shared.service_addresses) - own
        for rules in FIXED_RULES:
            counts[rules.table, rules.chain] += rules.number
        for name, lines in RULES_OF_SET.items():
            if ports["ipset", name] + counts["ipset", name]:
                for rules in lines:
                    counts[rules.table, rules.chain] += rules.number
        return counts

    def describe(self, counts: Counts) -> dict[str, object]:
        """Return virtual servers, real servers, set entries, and the few rules."""
        return {
            "virtual_servers": counts["virtual_servers", ""],
            "real_servers": counts["real_servers", ""],
            "ipset_entries": by_name(counts, "ipset"),
            "nat_rules": total(counts, "nat"),
            "filter_rules": total(counts, "filter"),
            "nat_by_chain": by_name(counts, "nat"),
            "filter_by_chain": by_name(counts, "filter"),
        }

    def sync(self, counts: Counts, changed: Counts) -> SyncWork:
        """Count netlink calls: every sync looks at each virtual server, and writes the servers of what changed."""
        looked = 2 * counts["virtual_servers", ""]
        full, partial = (
            number["virtual_servers", ""] + number["real_servers", ""] + total(number, "ipset")
            for number in (counts, changed)
        )
        return SyncWork(looked + full, looked + partial, "netlink calls", counts["ipset", "KUBE-IPVS-IPS"])

    # ------------------------------------------------------------------------------------------------ walks

    def cluster_ip(self, counts: Counts, port: ServedPort, choice: Choice) -> WalkModel:
        """From a pod to the cluster IP, which is bound to a local device: INPUT, then the IPVS table sends it on."""
        return self._service(counts, marked=self.config.masquerade_all)

    def node_port(self, counts: Counts, port: ServedPort, choice: Choice) -> WalkModel:
        """From outside to a node port: the same way, masqueraded under policy Cluster."""
        return self._service(counts, marked=not port.external_local)

    def _service(self, counts: Counts, marked: bool) -> WalkModel:
        nat = 1 + counts["nat", "KUBE-SERVICES"] + counts["nat", "KUBE-NODE-PORT"] + marked
        after = 1 + counts["nat", "KUBE-POSTROUTING"] - (0 if marked else 2)
        filtered = self._input(counts)
        return WalkModel(
            0, nat, after, filter_mean=filtered, filter_worst=filtered, lookups=self._sets(counts) + 1,
            bucket=counts["virtual_servers", ""] / SERVER_ROWS,
        )  # fmt: skip

    def _input(self, counts: Counts) -> int:
        """Filter INPUT: KUBE-IPVS-FILTER lets known services pass at its second line, then two short chains."""
        return 1 + 2 + 1 + counts["filter", "KUBE-PROXY-FIREWALL"] + 1 + counts["filter", "KUBE-NODE-PORT"]

    def _sets(self, counts: Counts) -> int:
        """Set matches on the way of a new connection: nat, the two of INPUT, hairpin."""
        lines = counts["nat", "KUBE-SERVICES"] - 2 + counts["nat", "KUBE-NODE-PORT"]
        return lines + 3 + (counts["nat", "KUBE-POSTROUTING"] > 3) + counts["filter", "KUBE-PROXY-FIREWALL"]

    def other(self, counts: Counts, where: Where) -> Walk:
        """No Service: a handful of set matches in vain."""
        nat = 1 + counts["nat", "KUBE-SERVICES"]
        post = 1 + counts["nat", "KUBE-POSTROUTING"] - 2
        firewall = 1 + counts["filter", "KUBE-PROXY-FIREWALL"]
        if where == "in":
            nat += counts["nat", "KUBE-NODE-PORT"]
            filtered = 1 + counts["filter", "KUBE-IPVS-FILTER"] + firewall + 1 + counts["filter", "KUBE-NODE-PORT"]
        else:
            nat += post
            filtered = firewall + 1 + counts["filter", "KUBE-FORWARD"] if where == "forward" else 0
        return Walk(nat, nat, filtered, filtered, self._sets(counts))

    def established(self, counts: Counts, where: Where) -> Walk:
        """Conntrack spares nat; KUBE-FORWARD accepts at its second line, INPUT has no such line."""
        firewall = 1 + counts["filter", "KUBE-PROXY-FIREWALL"]
        into = 1 + counts["filter", "KUBE-IPVS-FILTER"] + firewall + 1 + counts["filter", "KUBE-NODE-PORT"]
        filtered = {"forward": firewall + 1 + 2, "out": 0, "in": into}[where]
        return Walk(0, 0, filtered, filtered, lookups=1)


def _node_port_addresses(site: Site) -> int:
    """Addresses that get a virtual server per node port: never loopback."""
    if site.node_port_addresses is None:
        return len(site.addresses)
    return sum(1 for address in site.node_port_addresses if not address.startswith("127.") and address != "::1")
