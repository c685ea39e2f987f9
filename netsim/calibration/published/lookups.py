"""Questions about a lookup as a program sees it: how long lost queries hold it up, and how long one takes unhurried."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from netsim.calibration.published.bench import Bench
from netsim.calibration.published.case import Row
from netsim.calibration.published.naming import EXTERNAL_NAME, QueryRate, query_seconds, resolver_config, types_of
from netsim.calibration.published.quantities import Dimension
from netsim.calibration.published.question import Answer, Cost, Untimed
from netsim.calibration.published.setting import Setting
from netsim.calibration.published.steady import FULLEST
from netsim.calibration.published.transport import RoundTrip
from netsim.cluster.dns.records import Record, Response
from netsim.cluster.resolver import ADDRESS_TYPES, Query, new_lookup, walk
from netsim.cluster.resolver.walk import Network
from netsim.engine.transport.tcp import TcpSettings
from netsim.errors import InputError, Place

BOTH = "+".join(ADDRESS_TYPES)
Loss = Literal["all", "one of each pair", "one"]
"""Which queries are lost: every one, one of A and AAAA whenever they are asked, or that once."""


@dataclass(frozen=True, slots=True)
class LookupDelay(Untimed):
    """Seconds that lost queries hold a lookup up: the model's own resolver against servers that are silent.

    ``search`` and ``ndots`` are as for the queries of a lookup, ``attempts`` and ``timeout_s`` the resolver's options,
    ``resolver`` its kind. A and AAAA are asked for, and the first name that is tried exists.
    """

    loss: Loss = "one"
    kind: str = "lookup-delay"
    calibrates: int = 0

    def answer(self, bench: Bench, setting: Setting, seconds: float, dimension: Dimension) -> Answer:
        """Return the time the resolver's timers take."""
        kind = next((name for name in ("musl", "go") if name in setting.text("resolver").lower()), "glibc")
        lookup = new_lookup(kind, resolver_config(setting), EXTERNAL_NAME, types_of(setting, BOTH))
        return Answer(walk(lookup, self._network()).seconds)

    def _network(self) -> Network:
        lost: list[Query] = []

        def network(query: Query) -> Response | None:
            if self.loss == "all" or (query.type == "AAAA" and (self.loss != "one" or not lost)):
                lost.append(query)
                return None
            return Response(answers=(Record(query.name, query.type, 30, "192.0.2.10"),))

        return network


def connection_delay(bench: Bench, setting: Setting) -> float:
    """Return how long a client waits whose first packet was lost: TCP's timer before it has measured a round trip."""
    return TcpSettings().syn_timeout_s


@dataclass(frozen=True, slots=True)
class LookupTime:
    """Time of one query: there and back between pod and server, the server's own work, and what it waits for others.

    A node-local cache answers on the pod's own node; cluster DNS is a Service, its replica on another node. Where a row
    states no rate (``qps``) the query meets nobody else; else as many wait as in a queue with several servers (M/M/c,
    by Sakasegawa's approximation: rho^(sqrt(2 (c + 1)) - 1) / (c (1 - rho)) service times in the mean), and percentiles
    of the wait are an exponential's.
    """

    percentile: float | None = None
    kind: str = "lookup-time"
    calibrates: int = 0

    def cost(self, bench: Bench, setting: Setting) -> Cost:
        """Return the datagrams' way, and what the server does besides."""
        local = "local" in setting.text("path").lower()
        placed = setting.but(
            cni=setting.text("cni", "kubenet"), path="pod-pod-same-node" if local else "pod-service-cross-node"
        )
        served = query_seconds(bench, placed)
        waits = self._waits(bench, setting) * served if "qps" in setting else 0.0
        return RoundTrip(protocol="UDP").cost(bench, placed).plus(Cost(served + waits))

    def _waits(self, bench: Bench, setting: Setting) -> float:
        """Return the service times a query waits. Raises `InputError` where the server cannot keep up."""
        cores = setting.positive("vcpu", setting.positive("cores", bench.hardware.cores)) * setting.positive("replicas")
        used = setting.number("qps") / bench.expect(QueryRate(), setting.without("qps"), "rate").value
        if used >= FULLEST:
            raise InputError("more queries than the server answers", place=Place(field="configuration.qps"),
                             got=setting.text("qps"))  # fmt: skip
        mean = math.pow(used, math.sqrt(2 * (cores + 1)) - 1) / (cores * (1 - used))
        return mean * (1.0 if self.percentile is None else -math.log1p(-self.percentile))

    def seconds(self, bench: Bench, row: Row) -> float:
        """Return the time."""
        return row.quantity.si

    def informs(self, bench: Bench, row: Row) -> bool:
        """Always."""
        return True

    def answer(self, bench: Bench, setting: Setting, seconds: float, dimension: Dimension) -> Answer:
        """Return the time."""
        return Answer(seconds)
