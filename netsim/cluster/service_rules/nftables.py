"""kube-proxy, nftables mode: the layout of Kubernetes 1.29 to 1.34 (``pkg/proxy/nftables/proxier.go``)."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from netsim.cluster.service_rules.categorize import Choice
from netsim.cluster.service_rules.config import ProxyConfig, ProxyMode
from netsim.cluster.service_rules.counts import Counts, Shared, Site, SyncWork, by_name, total
from netsim.cluster.service_rules.ports import ServedPort
from netsim.cluster.service_rules.walks import Walk, WalkModel, Where

BASE_CHAINS = 16
BASE_RULES = 23
"""With the rule that drops unallocated addresses of the service range."""
BASE_SETS = 2
BASE_MAPS = 5
PRE_DNAT = 2
"""Priority -110: test for a new connection, firewall-ips."""
FORWARD = 5
"""filter-forward of a new connection: two jumps, no-endpoint-services, two rules of cluster-ips-check."""
POSTROUTING = 2
MASQUERADE = 3
"""The jump is followed by all three rules of the masquerading chain."""


@dataclass(frozen=True, slots=True)
class Nftables:
    """Counts and walks of nftables mode."""

    config: ProxyConfig

    @property
    def mode(self) -> ProxyMode:
        """Name of the mode."""
        return "nftables"

    def port_counts(self, port: ServedPort, choice: Choice, site: Site) -> Counts:
        """Count chains, rules and elements of one Service port at a node."""
        counts: Counts = Counter()
        usable = choice.any_usable
        internal, external = bool(choice.internal(port)) and usable, bool(choice.external(port)) and usable
        addresses = len(port.external_ips) + len(port.load_balancer_ips)
        counts["elements", "service-ips"] = internal + addresses * usable
        counts["elements", "service-nodeports"] = int(port.node_port > 0 and usable)
        counts["elements", "no-endpoint-services"] = (not internal) + addresses * (not external)
        counts["elements", "no-endpoint-nodeports"] = int(port.node_port > 0 and not external)
        if port.filtered:
            counts["elements", "firewall-ips"] = len(port.load_balancer_ips)
            counts["chains", ""] += 1
            counts["rules", ""] += 1
        if usable:
            self._count_chains(counts, port, choice)
        return counts

    def _count_chains(self, counts: Counts, port: ServedPort, choice: Choice) -> None:
        for wanted, ends in ((port.uses_cluster, choice.cluster), (port.uses_local, choice.local)):
            if wanted and ends:
                counts["chains", ""] += 1
                counts["verdict_maps", ""] += 1
                counts["rules", ""] += 1 + len(ends) * port.affinity
        if choice.internal(port):
            counts["rules", ""] += self._tests_source
        if port.external:
            counts["chains", ""] += 1
            counts["rules", ""] += self._external_rules(port) + bool(choice.external(port))
        counts["chains", ""] += len(choice.reachable)
        counts["rules", ""] += len(choice.reachable) * (2 + port.affinity)
        counts["affinity_sets", ""] += len(choice.reachable) * port.affinity

    @property
    def _tests_source(self) -> bool:
        """The chain of cluster-IP traffic starts with a masquerade rule."""
        return self.config.masquerade_all or self.config.detects_local

    def _external_rules(self, port: ServedPort) -> int:
        """Rules of an external chain before the one that goes on to the policy's chain."""
        return 2 + self.config.detects_local if port.external_local else 1

    def node_counts(self, site: Site, shared: Shared, ports: Counts) -> Counts:
        """Count the chains and rules every node has; ``service-range`` tells the walks whether that rule is there."""
        counts: Counts = Counter()
        counts["chains", ""] = BASE_CHAINS
        counts["rules", ""] = BASE_RULES - (not shared.service_cidr)
        counts["elements", "cluster-ips"] = shared.cluster_ips
        counts["elements", "nodeport-ips"] = len(site.node_port_addresses or ())
        counts["sets", ""] = BASE_SETS + ports["affinity_sets", ""]
        counts["maps", ""] = BASE_MAPS
        counts["service-range", ""] = int(shared.service_cidr)
        return counts

    def describe(self, counts: Counts) -> dict[str, object]:
        """Return chains, rules, and elements by set or map."""
        return {
            "chains": counts["chains", ""],
            "rules": counts["rules", ""],
            "elements": by_name(counts, "elements"),
            "sets": counts["sets", ""],
            "maps": counts["maps", ""],
        }

    def sync(self, counts: Counts, changed: Counts) -> SyncWork:
        """Count chains, rules and elements of the transaction; a partial sync (1.33) has those of changed Services."""
        full, partial = (
            number["chains", ""] + number["rules", ""] + total(number, "elements") for number in (counts, changed)
        )
        maps = "verdict_maps", ""
        return SyncWork(full, partial, "nftables objects", counts[maps], changed[maps])

    # ------------------------------------------------------------------------------------------------ walks

    def cluster_ip(self, counts: Counts, port: ServedPort, choice: Choice) -> WalkModel:
        """From a pod to the cluster IP: constant but for one set look-up an endpoint under session affinity."""
        ends = choice.internal(port)
        if not ends:
            # Both maps are tried in prerouting; the answer comes from no-endpoint-services.
            return self._answered(choice, nat=3, lookups=4)
        masked = self.config.masquerade_all
        before = 2 + self._tests_source + masked
        return self._service(counts, port.affinity * len(ends), before, masked, lookups=2 + port.affinity)

    def node_port(self, counts: Counts, port: ServedPort, choice: Choice) -> WalkModel:
        """From outside to a node port."""
        ends = choice.external(port)
        if not ends:
            chain = self._external_rules(port) if choice.any_usable else 0
            return self._answered(choice, nat=3 + chain, lookups=5)
        marked = not port.external_local
        test = self._tests_source and port.external_local == port.internal_local
        before = 3 + self._external_rules(port) + marked + 1 + test
        return self._service(counts, port.affinity * len(ends), before, marked, lookups=4 + port.affinity)

    @staticmethod
    def _answered(choice: Choice, nat: int, lookups: int) -> WalkModel:
        """A map of ports without endpoints answers: drop at once, or one more rule that rejects."""
        filtered = PRE_DNAT + 2 + (not choice.any_usable)
        return WalkModel(0, nat, filter_mean=filtered, filter_worst=filtered, lookups=lookups)

    def _service(self, counts: Counts, sticky: int, before: int, marked: bool, lookups: int) -> WalkModel:
        """From the policy's chain on: affinity sets, the random vmap, hairpin test and DNAT, postrouting."""
        after = 1 + 2 + (sticky > 0) + (1 + MASQUERADE if marked else POSTROUTING)
        filtered = PRE_DNAT + self._forward(counts)
        return WalkModel(
            0, before + sticky, after, filter_mean=filtered, filter_worst=filtered, lookups=lookups + sticky + 3
        )

    def _forward(self, counts: Counts) -> int:
        return FORWARD - 1 + counts["service-range", ""]

    def other(self, counts: Counts, where: Where) -> Walk:
        """No Service: the same look-ups, all in vain."""
        nat = {"forward": 3 + POSTROUTING, "out": 3 + POSTROUTING, "in": 3}[where]
        filtered = PRE_DNAT + (4 if where == "in" else self._forward(counts))
        return Walk(nat, nat, filtered, filtered, lookups=5)

    def established(self, counts: Counts, where: Where) -> Walk:
        """Every jump asks for a new connection and fails: one before DNAT and two at the filter hook."""
        return Walk(0, 0, 3, 3)
