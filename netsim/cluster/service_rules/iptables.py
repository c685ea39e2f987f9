"""kube-proxy, iptables mode: the rules of Kubernetes 1.28 and later (``pkg/proxy/iptables/proxier.go``).

Jump rules from built-in chains are not counted, as in the dumps of kube-proxy's own tests; they are walked, though.
Chains with hashed names are summed under their prefix.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from netsim.cluster.service_rules.categorize import Choice
from netsim.cluster.service_rules.config import ProxyConfig, ProxyMode, inside
from netsim.cluster.service_rules.counts import Counts, Shared, Site, SyncWork, by_name, total
from netsim.cluster.service_rules.ports import ServedPort
from netsim.cluster.service_rules.walks import Walk, WalkModel, Where

POSTROUTING_RULES = 3
"""RETURN without the masquerade mark, clear the mark, MASQUERADE."""
FORWARD_RULES = 3
"""DROP invalid, ACCEPT marked, ACCEPT established."""
SEP_RULES = 2
"""Hairpin mark and DNAT of one endpoint."""
NAT_CHAINS = ("KUBE-SERVICES", "KUBE-NODEPORTS", "KUBE-POSTROUTING", "KUBE-MARK-MASQ")
FILTER_CHAINS = 5


@dataclass(frozen=True, slots=True)
class Iptables:
    """Counts and walks of iptables mode."""

    config: ProxyConfig

    @property
    def mode(self) -> ProxyMode:
        """Name of the mode."""
        return "iptables"

    def port_counts(self, port: ServedPort, choice: Choice, site: Site) -> Counts:
        """Count the rules of one Service port at a node."""
        counts: Counts = Counter()
        usable = choice.any_usable
        internal, external = bool(choice.internal(port)) and usable, bool(choice.external(port)) and usable
        addresses = len(port.external_ips) + len(port.load_balancer_ips)
        counts["nat", "KUBE-SERVICES"] = internal + addresses * usable
        counts["nat", "KUBE-NODEPORTS"] = int(port.node_port > 0 and usable)
        counts["filter", "KUBE-SERVICES"] = int(not internal)
        counts["filter", "KUBE-EXTERNAL-SERVICES"] = 0 if external else port.external_addresses
        counts["filter", "KUBE-NODEPORTS"] = int(port.health_check_port > 0)
        if usable:
            self._count_chains(counts, port, choice, site)
        return counts

    def _count_chains(self, counts: Counts, port: ServedPort, choice: Choice, site: Site) -> None:
        """Count the chains that belong to the port alone."""
        lines = {"KUBE-SVC": 0, "KUBE-SVL": 0}
        chains = {"KUBE-SVC": 0, "KUBE-SVL": 0}
        for chain, wanted, ends in (
            ("KUBE-SVC", port.uses_cluster, choice.cluster), ("KUBE-SVL", port.uses_local, choice.local)
        ):  # fmt: skip
            if wanted and ends:
                lines[chain] = len(ends) * (1 + port.affinity)
                chains[chain] = 1
        if choice.internal(port) and self._tests_source:
            lines["KUBE-SVL" if port.internal_local else "KUBE-SVC"] += 1
        if port.external:
            lines["KUBE-EXT"] = self._external_rules(port) + bool(choice.external(port))
            chains["KUBE-EXT"] = 1
        if port.filtered:
            from_node = inside(site.primary, port.source_ranges)
            lines["KUBE-FW"] = len(port.source_ranges) + 1 + from_node * len(port.load_balancer_ips)
            chains["KUBE-FW"] = 1
            counts["filter", "KUBE-PROXY-FIREWALL"] = len(port.load_balancer_ips)
        lines["KUBE-SEP"] = SEP_RULES * len(choice.reachable)
        chains["KUBE-SEP"] = len(choice.reachable)
        for chain, number in lines.items():
            counts["nat", chain] += number
        for chain, number in chains.items():
            counts["nat_chains", chain] += number

    @property
    def _tests_source(self) -> bool:
        """The policy chain of cluster-IP traffic starts with a masquerade rule."""
        return self.config.masquerade_all or self.config.detects_local

    def _external_rules(self, port: ServedPort) -> int:
        """Lines of a KUBE-EXT chain before its jump to the policy's chain."""
        if not port.external_local:
            return 1
        return 2 + self.config.detects_local

    def node_counts(self, site: Site, shared: Shared, ports: Counts) -> Counts:
        """Count the rules every node has; ``tail`` tells the walks where the list of Services ends."""
        counts: Counts = Counter()
        counts["nat", "KUBE-SERVICES"] = self._tail(site)
        counts["nat", "KUBE-MARK-MASQ"] = 1
        counts["nat", "KUBE-POSTROUTING"] = POSTROUTING_RULES
        counts["filter", "KUBE-FORWARD"] = FORWARD_RULES
        firewall = site.family == "IPv4" and self.config.localhost_node_ports
        counts["filter", "KUBE-FIREWALL"] = int(firewall)
        for chain in NAT_CHAINS:
            counts["nat_chains", chain] = 1
        counts["filter_chains", ""] = FILTER_CHAINS + firewall
        counts["tail", ""] = self._tail(site)
        return counts

    def _tail(self, site: Site) -> int:
        """Lines of KUBE-SERVICES that jump to KUBE-NODEPORTS: one, or one per chosen address."""
        return 1 if site.node_port_addresses is None else len(site.node_port_addresses)

    def describe(self, counts: Counts) -> dict[str, object]:
        """Return rules by table and by chain."""
        return {
            "nat_rules": total(counts, "nat"),
            "filter_rules": total(counts, "filter"),
            "nat_by_chain": by_name(counts, "nat"),
            "filter_by_chain": by_name(counts, "filter"),
        }

    def sync(self, counts: Counts, changed: Counts) -> SyncWork:
        """Count the rule and chain lines given to iptables-restore.

        A partial sync (MinimizeIPTablesRestore, 1.27) leaves out the chains of unchanged Services, but always writes
        the filter table and the lists that all Services share.
        """
        groups = ("nat", "nat_chains", "filter", "filter_chains")
        full = sum(total(counts, group) for group in groups)
        always = total(counts, "filter") + total(counts, "filter_chains")
        always += sum(counts[group, chain] for group in ("nat", "nat_chains") for chain in NAT_CHAINS)
        owned = sum(
            number for (group, chain), number in changed.items()
            if group in ("nat", "nat_chains") and chain not in NAT_CHAINS
        )  # fmt: skip
        chains, named = (total(n, "nat_chains") + total(n, "filter_chains") for n in (counts, changed))
        return SyncWork(full, always + owned, "iptables-restore lines", chains, named)

    # ------------------------------------------------------------------------------------------------ walks

    def cluster_ip(self, counts: Counts, port: ServedPort, choice: Choice) -> WalkModel:
        """From a pod to the cluster IP: jump, list to the Service, its chain, the endpoint, POSTROUTING.

        Without an endpoint the whole list is compared in vain and filter KUBE-SERVICES gives the answer.
        """
        ends = choice.internal(port)
        if not ends:
            answers = counts["filter", "KUBE-SERVICES"]
            before = 1 + counts["filter", "KUBE-PROXY-FIREWALL"] + 1 + FORWARD_RULES + 1
            nat = 1 + counts["nat", "KUBE-SERVICES"]
            return WalkModel(0, nat, 0, 0, False, before + (answers + 1) / 2, before + answers)
        masked = self.config.masquerade_all
        after = self._tests_source + masked + SEP_RULES + self._postrouting(masked)
        filtered = self._forward_marked(counts) if masked else self._forward(counts)
        return WalkModel(self._listed(counts), 1, after, len(ends), port.affinity, filtered, filtered)

    def node_port(self, counts: Counts, port: ServedPort, choice: Choice) -> WalkModel:
        """From outside to a node port: the whole service list first, then KUBE-NODEPORTS, the EXT chain and so on.

        Without an endpoint for it the packet falls through and filter KUBE-EXTERNAL-SERVICES gives the answer.
        """
        ends = choice.external(port)
        before = 1 + counts["nat", "KUBE-SERVICES"]
        listed = counts["nat", "KUBE-NODEPORTS"]
        chain = self._external_rules(port)
        if not ends:
            answers = counts["filter", "KUBE-EXTERNAL-SERVICES"]
            into = self._input(counts) - answers
            met = before + listed + chain * choice.any_usable
            return WalkModel(0, met, 0, 0, False, into + (answers + 1) / 2, into + answers)
        marked = not port.external_local
        test = self._tests_source and port.external_local == port.internal_local
        after = chain + marked + 1 + test + SEP_RULES + self._postrouting(marked)
        filtered = self._forward_marked(counts) if marked else self._forward(counts)
        return WalkModel(listed, before, after, len(ends), port.affinity, filtered, filtered)

    def other(self, counts: Counts, where: Where) -> Walk:
        """No Service: the whole list is compared in vain; into the node also that of the node ports."""
        listed = counts["nat", "KUBE-SERVICES"]
        if where == "in":
            nat, filtered = 1 + listed + counts["nat", "KUBE-NODEPORTS"], self._input(counts)
        elif where == "out":
            nat, filtered = 1 + listed + self._postrouting(False), self._output(counts)
        else:
            nat, filtered = 1 + listed + self._postrouting(False), self._forward(counts)
        return Walk(nat, nat, filtered, filtered)

    def established(self, counts: Counts, where: Where) -> Walk:
        """Conntrack spares the nat table; jumps that ask for new connections fail at once."""
        filtered = {
            "forward": 1 + 1 + FORWARD_RULES,
            "out": self._localnet(counts) + 1 + 1,
            "in": self._localnet(counts) + 1 + 1 + counts["filter", "KUBE-NODEPORTS"] + 1,
        }[where]
        return Walk(0, 0, filtered, filtered)

    def _listed(self, counts: Counts) -> int:
        """Lines of KUBE-SERVICES before the jump to the node ports."""
        return counts["nat", "KUBE-SERVICES"] - counts["tail", ""]

    def _postrouting(self, masquerade: bool) -> int:
        """The jump to KUBE-POSTROUTING and its lines: unmarked packets return at the first."""
        return 1 + (POSTROUTING_RULES if masquerade else 1)

    def _forward(self, counts: Counts) -> int:
        """Filter FORWARD: proxy firewall, KUBE-FORWARD, services and external services without endpoints."""
        chains = ("KUBE-PROXY-FIREWALL", "KUBE-SERVICES", "KUBE-EXTERNAL-SERVICES")
        return 1 + FORWARD_RULES + sum(1 + counts["filter", chain] for chain in chains)

    def _forward_marked(self, counts: Counts) -> int:
        """Filter FORWARD of a marked packet: KUBE-FORWARD's second line accepts it."""
        return 1 + counts["filter", "KUBE-PROXY-FIREWALL"] + 1 + 2

    def _input(self, counts: Counts) -> int:
        """Filter INPUT of a new packet."""
        return self._localnet(counts) + sum(
            1 + counts["filter", chain] for chain in ("KUBE-PROXY-FIREWALL", "KUBE-NODEPORTS", "KUBE-EXTERNAL-SERVICES")
        )

    def _output(self, counts: Counts) -> int:
        """Filter OUTPUT of a new packet."""
        chains = ("KUBE-PROXY-FIREWALL", "KUBE-SERVICES")
        return self._localnet(counts) + sum(1 + counts["filter", chain] for chain in chains)

    def _localnet(self, counts: Counts) -> int:
        """The jump to KUBE-FIREWALL and its line, where kube-proxy and kubelet write it."""
        return 2 if counts["filter", "KUBE-FIREWALL"] else 0
