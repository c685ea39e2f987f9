"""Racks and zones of nodes that state none."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import replace

from netsim.cluster.objects import Node

ZONE_LABEL = "topology.kubernetes.io/zone"


def wire(nodes: Iterable[Node], nodes_per_rack: int, zones: int) -> list[Node]:
    """Return the nodes with zone and rack filled in; a rack never spans zones.

    Parameters
    ----------
    nodes: in cluster order; stated zones and racks are kept.
    nodes_per_rack: nodes under one leaf switch.
    zones: zones that nodes without one are spread over in turn; with a single one they stay without a zone.
    """
    in_zone: Counter[str] = Counter()
    found = []
    for index, node in enumerate(nodes):
        zone = node.zone or (f"zone-{index % zones + 1}" if zones > 1 else "")
        rack = node.rack or f"{zone + '-' if zone else ''}rack-{in_zone[zone] // nodes_per_rack + 1}"
        in_zone[zone] += 1
        if (zone, rack) != (node.zone, node.rack):
            labels = node.labels if ZONE_LABEL in node.labels or not zone else {**node.labels, ZONE_LABEL: zone}
            node = replace(node, zone=zone, rack=rack, labels=labels)  # noqa: PLW2901
        found.append(node)
    return found
