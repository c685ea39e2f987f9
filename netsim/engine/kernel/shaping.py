"""Bandwidth limits of pods: token buckets on their veth pair.

The CNI bandwidth plugin puts a ``tbf`` on the host's end of the pair (traffic to the pod) and one on an ``ifb`` device
(traffic from it); its queue holds what the rate sends in 25 ms and one burst more. Kubenet makes an ``htb`` class on
its bridge, whose burst is one large packet and whose queue holds 1,000 buffers. What does not fit is dropped.

A bucket starts as hours of the same traffic leave it: full where less is offered than its rate, else empty (streams and
closed loops take whatever they get). The traffic of clients that nobody follows takes its share of the rate evenly.

Sources: containernetworking/plugins plugins/meta/bandwidth (``latencyInMillis`` 25, ``limit`` = rate × latency plus
burst); containerd internal/cri/server/sandbox_run.go (burst of annotated pods); kubernetes v1.23
pkg/util/bandwidth/linux.go (htb classes) and iproute2 tc/q_htb.c (default burst); Linux ``tx_queue_len`` 1000.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from math import fsum, inf
from typing import TYPE_CHECKING, Any, Literal

from netsim.datapath.types import Pass, Role, Route, Routes
from netsim.engine.queueing.stations import TokenBucket

if TYPE_CHECKING:
    from netsim.cluster.cluster import Cluster
    from netsim.cluster.objects import Pod
    from netsim.datapath.plugin import Plugin
    from netsim.engine.background.load import Flow
    from netsim.engine.network import Party

HEADER_BYTES = 54
"""Ethernet, IPv4 and TCP headers, which the queueing discipline counts for every segment."""
ASKED_BURST_BYTES = (2**32 - 1) // 8
"""Burst that container runtimes ask the bandwidth plugin for on behalf of an annotated pod."""
TBF_LATENCY_S = 0.025
HTB_BURST_BYTES = 1_600
HTB_BUFFERS = 1_000
LEAST_SHARE = 0.01
"""Followed traffic keeps at least this share of a bucket's rate."""

Direction = Literal["ingress", "egress"]


@dataclass(frozen=True, slots=True)
class Shape:
    """One limit: rate, depth of the bucket, and how much may wait: seconds at the rate, or a number of buffers."""

    rate_bps: float
    depth_bytes: int
    queue_s: float = inf
    buffers: float = inf

    @staticmethod
    def tbf(rate_bps: float, burst_bytes: int) -> Shape:
        """Return what the bandwidth plugin sets up."""
        return Shape(rate_bps, burst_bytes, TBF_LATENCY_S + 8.0 * burst_bytes / rate_bps)

    @staticmethod
    def htb(rate_bps: float) -> Shape:
        """Return what kubenet sets up."""
        return Shape(rate_bps, HTB_BURST_BYTES, buffers=HTB_BUFFERS)


def shape_of(plugin: Plugin, pod: Pod, direction: Direction) -> Shape | None:
    """Return the limit a plugin enforces on a pod in one direction, `None` without one."""
    template = pod.template
    if template.host_network:
        return None
    stated = plugin.pod_ingress if direction == "ingress" else plugin.pod_egress
    if stated is not None:
        return Shape.tbf(float(stated.rate_bps), stated.burst_bytes)
    asked = template.ingress_bps if direction == "ingress" else template.egress_bps
    if asked is None or plugin.bandwidth == "none":
        return None
    return Shape.tbf(float(asked), ASKED_BURST_BYTES) if plugin.bandwidth == "tbf" else Shape.htb(float(asked))


class Shapers:
    """The token buckets of a replication, made on first use.

    ``followed`` is the followed traffic whose rate is known beforehand, ``hungry`` that which takes what it gets,
    ``unseen`` that of clients nobody follows.
    """

    def __init__(self, cluster: Cluster, plugin: Plugin) -> None:
        self._cluster, self._plugin = cluster, plugin
        self.followed: Callable[[], Sequence[Flow]] = tuple
        self.hungry: Callable[[], Sequence[Flow]] = tuple
        self.unseen: Sequence[Flow] = ()
        self.buckets: dict[tuple[int, Direction], TokenBucket] = {}
        self._shapes: dict[tuple[int, Direction], Shape | None] = {}
        self._routes: dict[tuple[Routes, Shape | None, Shape | None, Shape | None, Shape | None], Routes] = {}

    @staticmethod
    def over(cluster: Cluster, plugin: Plugin) -> Shapers | None:
        """Return the shapers of a cluster, `None` where nobody is limited."""
        templates = {id(pod.template): pod for pod in cluster.pods}
        limited = any(
            shape_of(plugin, pod, direction) for pod in templates.values() for direction in ("ingress", "egress")
        )
        return Shapers(cluster, plugin) if limited else None

    def shape(self, party: Party, direction: Direction) -> Shape | None:
        """Return a party's limit."""
        if not isinstance(party, int):
            return None
        key = (party, direction)
        if key not in self._shapes:
            self._shapes[key] = shape_of(self._plugin, self._cluster.pods[party], direction)
        return self._shapes[key]

    def routes(self, routes: Routes, source: Party, target: Party) -> Routes:
        """Return the routes of a connection with the buckets it meets at both ends."""
        shapes = (
            self.shape(source, "egress"), self.shape(target, "ingress"),
            self.shape(target, "egress"), self.shape(source, "ingress"),
        )  # fmt: skip
        if not any(shapes):
            return routes
        key = (routes, *shapes)
        if key not in self._routes:
            there, here = shapes[:2], shapes[2:]
            self._routes[key] = replace(
                routes, first=_through(routes.first, *there), forward=_through(routes.forward, *there),
                first_reply=_through(routes.first_reply, *here), reply=_through(routes.reply, *here),
                forward_acks=routes.forward_acks and _through(routes.forward_acks, *there),
                reply_acks=routes.reply_acks and _through(routes.reply_acks, *here),
                turns=(
                    {turn: _through(route, *there) for turn, route in routes.turns[0].items()},
                    {turn: _through(route, *here) for turn, route in routes.turns[1].items()},
                ),
            )  # fmt: skip
        return self._routes[key]

    def place(self, legs: list[Any], source: Party, target: Party) -> list[TokenBucket]:
        """Put the buckets of one direction into its legs; returns those that are new."""
        made: list[TokenBucket] = []
        ends: tuple[tuple[Party, Direction, Role], ...] = (
            (source, "egress", Role.SENDER_SHAPER), (target, "ingress", Role.RECEIVER_SHAPER),
        )  # fmt: skip
        for party, direction, role in ends:
            shape = self.shape(party, direction)
            if shape is not None:
                bucket = self.buckets.get((party, direction))
                if bucket is None:
                    bucket = self.buckets[party, direction] = self._bucket(party, direction, shape)
                    made.append(bucket)
                legs[role] = bucket.shape
        return made

    def _bucket(self, pod: int, direction: Direction, shape: Shape) -> TokenBucket:
        unseen = offered_bps(self.unseen, pod, direction) or 0.0
        left = 1.0 - unseen / shape.rate_bps
        bucket = TokenBucket(
            shape.rate_bps, shape.depth_bytes, f"{self._cluster.pods[pod].key}/{direction}-rate",
            share=max(left, LEAST_SHARE), buffers=shape.buffers, queue_s=shape.queue_s,
        )  # fmt: skip
        known = offered_bps(self.followed(), pod, direction)
        eaten = offered_bps(self.hungry(), pod, direction) is not None
        if known is not None and not eaten and known + unseen < shape.rate_bps:
            bucket.fill()
        return bucket


def _through(route: Route, leaving: Shape | None, arriving: Shape | None) -> Route:
    """Return a route with a bucket behind the sending thread and one in front of the receiving one."""
    passes = list(route.passes)
    places: list[int] = []
    if leaving is not None:
        places.append(1)
        passes.insert(1, _pass(Role.SENDER_SHAPER, leaving))
    if arriving is not None:
        threads = (index for index, each in enumerate(passes) if each.role is Role.RECEIVER_CORE)
        index = next(threads, len(passes))  # acknowledgements end in front of the thread
        places.append(index)
        passes.insert(index, _pass(Role.RECEIVER_SHAPER, arriving))
    hops = tuple((name, _shifted(index, places), bill) for name, index, bill in route.hops)
    return replace(route, passes=tuple(passes), hops=hops)


def _shifted(index: int, places: list[int]) -> int:
    for place in places:
        index += index >= place
    return index


def _pass(role: Role, shape: Shape) -> Pass:
    """Return the time a burst takes of a bucket's rate."""
    return Pass(role, 0.0, 8.0 / shape.rate_bps, 8.0 * HEADER_BYTES / shape.rate_bps)


def offered_bps(flows: Sequence[Flow], pod: int, direction: Direction) -> float | None:
    """Return what flows bring to a pod's bucket, in bits per second; `None` where none of them concerns the pod."""
    outgoing = direction == "egress"
    rates = [
        flow.rate_at(end) * flow.exchange.bits(back=(end == "target") is outgoing)
        for flow in flows
        for end, members in flow.ends
        if pod in members
    ]
    return fsum(rates) if rates else None
