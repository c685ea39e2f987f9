"""Equal-cost paths: which spine a flow takes."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from scipy import stats

from netsim.cluster.cluster import Cluster
from netsim.cluster.objects import Fabric, Machine, Node
from netsim.datapath.types import Role
from netsim.engine.places import Places


def places(spines: int) -> Places:
    nodes = tuple(Node(f"node-{number}", machine=Machine(cores=2)) for number in range(4))
    return Places(Cluster(nodes, (), (), fabric=Fabric(nodes_per_rack=2, spines=spines)), salt=1)


@pytest.mark.parametrize("spines", [1, 3, 8])
def test_flows_spread_evenly_over_the_spines_and_stay_there(spines: int) -> None:
    fabric = places(spines)
    here, there = fabric.place(0), fabric.place(3)
    draw = np.random.default_rng(1)
    taken: Counter[str] = Counter()
    for flow in draw.integers(0, 1 << 52, 4_000).tolist():
        legs = [fabric.legs(here, 0, there, 0, flow=flow) for _ in range(2)]
        up, down = legs[0][Role.LEAF_UP], legs[0][Role.LEAF_DOWN]
        assert (up, down) == (legs[1][Role.LEAF_UP], legs[1][Role.LEAF_DOWN])
        assert up.__self__.name.split("/")[1] == down.__self__.name.split("/")[1]
        taken[up.__self__.name] += 1
    assert len(taken) == spines
    if spines > 1:
        assert stats.chisquare(list(taken.values())).pvalue > 1e-3


def test_a_rack_keeps_its_own_traffic() -> None:
    fabric = places(4)
    legs = fabric.legs(fabric.place(0), 0, fabric.place(1), 0, flow=12_345)
    assert legs[Role.LEAF_UP] is None is legs[Role.LEAF_DOWN]
