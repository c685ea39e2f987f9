"""The three packet workloads: a chain, a leaf-spine fabric, a closed loop.

Times are in nanoseconds on a grid of 2⁻²⁰ ns, so that every sum is exact in a float; a packet of 64, 576 or 1500 bytes
(half, a fifth, three tenths of them) takes a fixed cost and its time on the wire at every hop.

W1: ten FIFO hops in a row, Poisson arrivals at 0.7 of the slowest. W2: 64 sources, 4 leaves, 2 spines, 64 sinks, eight
hops, three of them merges. W3: 64 clients on 4 hosts and one server, one request each, ten hops there, ten back.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

GRID = 2.0**20
SIZES = np.array([64, 576, 1500])
SHARES = [0.5, 0.2, 0.3]
CHAIN = [(400, 32), (300, 32), (700, 16), (250, 8), (200, 2), (300, 8), (800, 16), (300, 32), (400, 32), (2000, 4)]
FABRIC = [(900, 16), (150, 8), (137, 8), (211, 8), (173, 8), (250, 8), (1800, 16), (4000, 4)]
BACK = [(900, 16), (700, 16), (250, 8), (211, 8), (300, 8), (800, 16), (300, 32), (400, 32), (350, 32), (900, 16)]
"""Hops as (fixed cost in ns, bandwidth in Gbit/s)."""


@dataclass(frozen=True)
class Open:
    """Packets with their births, sources, size classes and routes; ``service[station][size class]``."""

    births: list[float]
    source: list[int]
    size: list[int]
    kind: list[int]
    """Index into ``routes`` of every packet."""
    routes: list[tuple[int, ...]]
    service: list[list[float]]
    cuts: tuple[tuple[int, int], ...]
    """Stretches of hops with no merge inside."""


@dataclass(frozen=True)
class Closed:
    """Clients with their think times and the size classes of requests and responses."""

    think: list[list[float]]
    request: list[list[int]]
    response: list[list[int]]
    route: list[tuple[int, ...]]
    service: list[list[float]]
    cuts: tuple[tuple[int, int], ...]
    """Stretches of hops with no merge inside; the client is alone in the first and the last."""


def _services(hops: list[tuple[int, int]]) -> np.ndarray:
    return np.array([[cost + 8.0 * size / rate for size in SIZES] for cost, rate in hops])


def _grid(values: np.ndarray) -> np.ndarray:
    return np.floor(values * GRID) / GRID


def _sizes(rng: np.random.Generator, shape: int | tuple[int, int]) -> np.ndarray:
    return rng.choice(3, size=shape, p=SHARES)


def w1(packets: int, seed: int = 1) -> Open:
    """The chain."""
    rng = np.random.default_rng(seed)
    service = _services(CHAIN)
    gap = (service @ SHARES).max() / 0.7
    births = np.cumsum(_grid(rng.exponential(gap, packets)))
    sizes = _sizes(rng, packets).tolist()
    return Open(births.tolist(), [0] * packets, sizes, [0] * packets, [tuple(range(10))], service.tolist(), ((0, 10),))


def w2(packets: int, seed: int = 2) -> Open:
    """The fabric: stack and NIC of a source, leaf up, spine down, leaf down, NIC, kernel, application of a sink."""
    rng = np.random.default_rng(seed)
    service = _services(FABRIC)
    rate = 0.7 * 8 / (service[3] @ SHARES)
    births = np.cumsum(_grid(rng.exponential(1.0 / rate, packets)))
    size = _sizes(rng, packets)
    source, sink, spine = (rng.integers(high, size=packets) for high in (64, 64, 2))
    first = np.array([0, 64, 128, 136, 144, 208, 272, 336])
    local = np.stack([source, source, source // 16 * 2 + spine, spine * 4 + sink // 16, sink, sink, sink, sink], axis=1)
    stations = np.repeat(service, [64, 64, 8, 8, 64, 64, 64, 64], axis=0)
    rows = [tuple(row) for row in (first + local).tolist()]
    numbers = {route: number for number, route in enumerate(dict.fromkeys(rows))}
    kind = [numbers[row] for row in rows]
    cuts = ((0, 2), (2, 3), (3, 4), (4, 8))
    return Open(births.tolist(), source.tolist(), size.tolist(), kind, list(numbers), stations.tolist(), cuts)


def w3(requests: int, seed: int = 3) -> Closed:
    """The closed loop: three private hops, two a host, five shared; back four shared, three a host, three private."""
    rng = np.random.default_rng(seed)
    each = requests // 64
    think = _grid(rng.exponential(270e3, (64, each)))
    request, response = _sizes(rng, (64, each)), _sizes(rng, (64, each))
    width = [64] * 3 + [4] * 2 + [1] * 9 + [4] * 3 + [64] * 3
    first = np.concatenate([[0], np.cumsum(width)[:-1]])
    client = np.arange(64)
    local = np.stack([client if w == 64 else client // 16 if w == 4 else client * 0 for w in width], axis=1)
    stations = np.repeat(_services(CHAIN + BACK), width, axis=0)
    routes = [tuple(row) for row in (first + local).tolist()]
    cuts = ((0, 3), (3, 5), (5, 17), (17, 20))
    return Closed(think.tolist(), request.tolist(), response.tolist(), routes, stations.tolist(), cuts)
