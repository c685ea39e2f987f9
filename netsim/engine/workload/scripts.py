"""Lookups worked out beforehand: what a resolver sends for a name while nothing is lost, and what comes back.

Pods of one namespace and DNS policy ask the same questions and get the same answers, so a lookup is driven once through
the resolver's state machine (`netsim.cluster.resolver`) and replayed. When a datagram is lost, `LookupScript.machine`
puts a machine where the replay stands, and that decides what happens next.
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple

from netsim.cluster.dns import Outside, Question, Response
from netsim.cluster.dns.report import Resolvers
from netsim.cluster.resolver import Done, Lookup, Query, ResolverConfig, Send, new_lookup, pod_hosts, resolv_conf

if TYPE_CHECKING:
    from netsim.cluster.cluster import Cluster
    from netsim.cluster.objects import Pod
    from netsim.scenario.spec import DnsSpec


@dataclass(frozen=True, slots=True, eq=False)
class Ask:
    """One query and its answer.

    ``question`` is name and type; ``opens`` tells whether it is the first datagram of its socket. ``ttl_s`` is how long
    a cache keeps the answer, ``forwarded`` how many questions a server without it must ask upstream. ``cluster`` tells
    whether the cluster's DNS is asked, not some server outside.
    """

    question: tuple[str, str]
    opens: bool
    query_bytes: int
    answer_bytes: int
    ttl_s: float
    forwarded: int
    cluster: bool
    response: Response


class Round(NamedTuple):
    """Queries that leave together; all answers are waited for. ``timeout_s`` runs from the moment they leave."""

    asks: tuple[Ask, ...]
    timeout_s: float


@dataclass(frozen=True, slots=True, eq=False)
class LookupScript:
    """One lookup without losses: its rounds and how it ends."""

    kind: str
    config: ResolverConfig
    name: str
    rounds: tuple[Round, ...]
    done: Done

    def machine(self, finished: int) -> tuple[Lookup, tuple[Send, ...]]:
        """Return a resolver that has been through the first ``finished`` rounds, and what it has just sent."""
        lookup = new_lookup(self.kind, self.config, self.name)
        for each in self.rounds[:finished]:
            waiting = {ask.question: ask.response for ask in each.asks}
            for query in _queries(_sends(lookup)):
                response = waiting.get((query.name, query.type))
                if response is not None:
                    lookup.answered(query, response)
        return lookup, _sends(lookup)


def _sends(lookup: Lookup) -> tuple[Send, ...]:
    sends = []
    while isinstance(step := lookup.next(), Send):
        sends.append(step)
    return tuple(sends)


def _queries(sends: tuple[Send, ...]) -> list[Query]:
    return [query for send in sends for query in send.queries]


class Scripts:
    """The lookups of a cluster's pods, worked out on first use."""

    def __init__(self, cluster: Cluster, spec: DnsSpec) -> None:
        self._cluster, self._spec = cluster, spec
        self._outside = Outside(search=cluster.host_search)
        self._servers = Resolvers(cluster, self._outside)
        self._known: dict[Hashable, LookupScript] = {}

    def script(self, pod: int, name: str) -> LookupScript:
        """Return what a pod's resolver does to look ``name`` up.

        Pods do the same whose resolv.conf is the same, whose hosts file says the same of the name, and whom a server
        cannot tell apart: by namespace (autopath) or family (dns64).
        """
        each = self._cluster.pods[pod]
        template = each.template
        client = each.addresses[0] if each.addresses else ""
        known_locally = pod_hosts(each, self._cluster).get(name.removesuffix(".").lower())
        key = (
            template.namespace, template.dns_policy, template.dns_config, template.host_network, ":" in client,
            not client, known_locally, name,
        )  # fmt: skip
        known = self._known.get(key)
        if known is None:
            known = self._known[key] = self._drive(self._config(each), name, client)
        return known

    def _config(self, pod: Pod) -> ResolverConfig:
        config = resolv_conf(pod, self._cluster)
        if self._spec.ndots is not None:
            config = replace(config, options=(*config.options, f"ndots:{self._spec.ndots}"))
        return config

    def answered(self, config: ResolverConfig, query: Query, limit_bytes: int, client: str) -> Response | None:
        """Return what comes back for a query that is not lost."""
        nameservers = config.nameservers or ("127.0.0.1",)
        response = self._servers.answer(nameservers[query.server], query.name, query.type, client)
        if response is None or query.transport == "tcp":
            return response
        return response.fitted(Question(query.name, query.type), limit_bytes)

    def ask(self, config: ResolverConfig, query: Query, response: Response, opens: bool) -> Ask:
        """Return a query with all that its way through the network depends on."""
        question = Question(query.name, query.type)
        server = self._servers.server_at((config.nameservers or ("127.0.0.1",))[query.server])
        cache = self._servers.central.cache_for(query.name)
        return Ask(
            (query.name, query.type), opens, 12 + len(query.name) + 5, response.size_bytes(question),
            response.cache_ttl(cache, query.name), response.forwarded, server is not None, response,
        )  # fmt: skip

    def _drive(self, config: ResolverConfig, name: str, client: str) -> LookupScript:
        lookup = new_lookup(self._spec.resolver, config, name)
        rounds: list[Round] = []
        while True:
            sends = _sends(lookup)
            step = lookup.next()
            if not sends and isinstance(step, Done):
                return LookupScript(self._spec.resolver, config, name, tuple(rounds), step)
            asks, answers = [], []
            for send in sends:
                for position, query in enumerate(send.queries):
                    response = self.answered(config, query, lookup.udp_limit_bytes, client)
                    if response is not None:
                        asks.append(self.ask(config, query, response, opens=position == 0))
                        answers.append((query, response))
            if not answers:
                return LookupScript(self._spec.resolver, config, name, tuple(rounds), Done("TIMEOUT"))
            rounds.append(Round(tuple(asks), min(send.timeout_s or config.timeout_s() for send in sends)))
            for query, response in answers:
                lookup.answered(query, response)
