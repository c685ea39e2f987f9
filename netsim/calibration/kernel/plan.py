"""Which topologies are measured to learn the prices: each holds few mechanisms, all together hold every one of them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from netsim.calibration.kernel.timing import Effort
from netsim.calibration.kernel.topologies import (
    NODE,
    NODE_RIGHT,
    ROUTER,
    SWITCH,
    Backend,
    Box,
    Kind,
    Policy,
    Services,
    Topology,
)

Mode = Literal["quick", "full"]
_IPTABLES: tuple[Backend, ...] = ("iptables-legacy", "iptables-nft")


@dataclass(frozen=True, slots=True)
class Plan:
    """Sizes of a calibration: how many Services and policy rules its tables hold, and how long everything is timed."""

    services: tuple[int, ...]
    rules: tuple[int, ...]
    members: int
    effort: Effort


PLANS: dict[Mode, Plan] = {
    "quick": Plan((1, 2000), (0, 800), 1000, Effort(seconds=65)),
    "full": Plan(
        (1, 100, 1000, 3000, 10000), (0, 100, 1000, 2000, 5000), 20000, Effort(seconds=420, fewest=6, most=40)
    ),
}
"""Quick stays under two minutes, full takes about ten."""


ANCHORS = (
    Topology((ROUTER,)),
    Topology((NODE, NODE_RIGHT)),
    Topology((NODE, NODE_RIGHT), frozenset({1})),
)
"""Plain paths up to a cluster's length. A later session measures them again beside its own, to be comparable."""


def calibration(plan: Plan) -> tuple[Topology, ...]:
    """Return the topologies of a plan."""
    return (*_paths(), *_service_lists(plan), *_policies(plan), *_bridge_netfilter())


def _paths() -> Iterator[Topology]:
    """Devices and forwarding without tables."""
    yield Topology()
    for repeated in (ROUTER, SWITCH):
        yield from (Topology((repeated,) * number) for number in (1, 2, 3))
    yield from (Topology((node,)) for node in (NODE, NODE_RIGHT))
    yield Topology((SWITCH, ROUTER, SWITCH))
    yield from ANCHORS[1:]
    yield Topology((ROUTER, ROUTER), frozenset({1}))
    yield Topology((ROUTER, ROUTER, ROUTER), frozenset({1, 2}))
    yield from (Topology((Box(kind),)) for kind in (Kind.REDIRECT, Kind.REDIRECT_PEER))


def _service_lists(plan: Plan) -> Iterator[Topology]:
    """Lists asked for the Service at their end, passed by, and crossed by a tunnel's outer packets."""
    for backend in _IPTABLES:
        for others in plan.services:
            yield _at_router(services=Services(backend, others))
    for others in (plan.services[0], plan.services[-1]):
        yield _at_router(services=Services("nftables", others))
    for backend in (*_IPTABLES, "nftables"):
        yield Topology((Box(Kind.ROUTER, Services(backend, plan.services[0])),), via_service=False)
    yield Topology((Box(Kind.ROUTER, Services("iptables-legacy", plan.services[0])), ROUTER), frozenset({1}))


def _policies(plan: Plan) -> Iterator[Topology]:
    for backend in _IPTABLES:
        for stateful in (False, True):
            yield from (_at_router(policy=Policy(backend, rules, stateful=stateful)) for rules in plan.rules)
        yield _at_router(policy=Policy(backend, 200, "port"))
        yield _at_router(policy=Policy(backend, 20, "ipset", members=plan.members))
    yield _at_router(policy=Policy("nftables", 20, "map", members=plan.members))
    tracking = Box(Kind.ROUTER, policy=Policy("iptables-legacy", 0, stateful=True))
    yield Topology((tracking, ROUTER), frozenset({1}))


def _bridge_netfilter() -> Iterator[Topology]:
    hooked = Box(Kind.SWITCH, bridge_netfilter=True)
    yield from (Topology((hooked,) * number) for number in (1, 2))
    for services in (None, Services("iptables-legacy", 1), Services("nftables", 1)):
        yield Topology((Box(Kind.NODE, services, bridge_netfilter=True),))


def _at_router(services: Services | None = None, policy: Policy | None = None) -> Topology:
    return Topology((Box(Kind.ROUTER, services, policy),))
