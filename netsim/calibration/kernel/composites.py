"""Paths drawn at random that mix mechanisms as a cluster does, to be predicted before anyone has measured them."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Collection, Sequence
from dataclasses import replace

from netsim.calibration.kernel.topologies import (
    NODE,
    NODE_RIGHT,
    ROUTER,
    SWITCH,
    Backend,
    Box,
    Match,
    Policy,
    Services,
    Topology,
)

SERVICES, RULES = (10, 3000), (5, 1000)
"""Sizes of tables, drawn evenly on a logarithmic scale; larger ones vary by over 10 % with their place in memory."""
LONGEST: dict[Match, int] = {"address": RULES[1], "port": 100, "ipset": 20, "map": 20}
BACKENDS: tuple[Backend, ...] = ("iptables-legacy", "iptables-nft", "nftables")
ATTEMPTS = 200


def draw(seed: int, count: int, known: Callable[[Topology], bool], used: Collection[Topology]) -> tuple[Topology, ...]:
    """Return different random paths.

    Parameters
    ----------
    seed: of the draw; the same seed gives the same paths on a machine with the same tools.
    count: how many; fewer where the machine knows too few mechanisms for that many different ones.
    known: whether the machine can build and price a path.
    used: paths that must not be drawn: those the prices were learnt from.
    """
    random_numbers, found = random.Random(seed), dict[Topology, None]()
    for _ in range(ATTEMPTS * count):
        topology = _topology(random_numbers)
        if topology not in used and known(topology):
            found[topology] = None
        if len(found) == count:
            break
    return tuple(found)


def _topology(numbers: random.Random) -> Topology:
    """Draw two nodes (or routers), what lies between them, a tunnel, a service list and policies."""
    nodes = numbers.random() < 0.7
    boxes = [NODE if nodes else ROUTER, *_between(numbers), NODE_RIGHT if nodes else ROUTER]
    if numbers.random() < 0.3:
        boxes = [replace(box, bridge_netfilter=True) if box.kind.gateway else box for box in boxes]
    joins = [link for link in range(1, len(boxes)) if boxes[link - 1].kind.forwards and boxes[link].kind.forwards]
    tunnels = frozenset({numbers.choice(joins)}) if joins and numbers.random() < 0.6 else frozenset()
    backend = numbers.choice(BACKENDS)
    if numbers.random() < 0.75:
        services = Services(backend, _size(numbers, SERVICES))
        boxes[0] = replace(boxes[0], services=services)
        if numbers.random() < 0.4:
            boxes[-1] = replace(boxes[-1], services=services)
    if numbers.random() < 0.65:
        place = numbers.choice([index for index, box in enumerate(boxes) if box.kind.forwards])
        boxes[place] = replace(boxes[place], policy=_policy(numbers, backend))
    return Topology(tuple(boxes), tunnels)


def _between(numbers: random.Random) -> Sequence[Box]:
    return [numbers.choice((ROUTER, SWITCH)) for _ in range(numbers.choice((0, 0, 0, 1, 1, 2)))]


def _policy(numbers: random.Random, services: Backend) -> Policy:
    """Draw a policy chain; it shares the back-end of the service list, as one node's tools do."""
    match: Match = numbers.choice(("address", "address", "port", "ipset", "map"))
    backend: Backend = "iptables-nft" if services == "nftables" else services
    members = _size(numbers, (100, 3000)) if match in ("ipset", "map") else 0
    rules = _size(numbers, (RULES[0], LONGEST[match]))
    return Policy("nftables" if match == "map" else backend, rules, match, numbers.random() < 0.6, members)


def _size(numbers: random.Random, between: tuple[int, int]) -> int:
    low, high = between
    return round(low * math.pow(high / low, numbers.random()))
