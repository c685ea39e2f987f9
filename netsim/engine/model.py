"""What a replication needs, resolved and ready: the engine's input."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from netsim.engine.ports import PortSettings
from netsim.engine.tcp import TcpSettings
from netsim.scenario.spec import DnsSpec, RunSpec

if TYPE_CHECKING:
    from netsim.cluster.cluster import Cluster
    from netsim.cluster.traffic import Edge
    from netsim.engine.network import Datapath


@dataclass(frozen=True, slots=True)
class Model:
    """One point of a study.

    Parameters
    ----------
    cluster, datapath: what exists and what packets meet there.
    edges: the traffic, resolved.
    dns: cluster DNS as the scenario states it; `None` leaves look-ups out.
    run: how long, how many clients.
    tcp: constants of the TCP stacks.
    conntrack_max: entries a node's conntrack table holds; `None` as kube-proxy sets it.
    ports: how many ports clients and masquerading nodes have.
    free_cores: cores take no time (`netsim.engine.lifting`).
    """

    cluster: Cluster
    datapath: Datapath
    edges: tuple[Edge, ...]
    dns: DnsSpec | None = None
    run: RunSpec = field(default_factory=RunSpec)
    tcp: TcpSettings = field(default_factory=TcpSettings)
    conntrack_max: int | None = None
    ports: PortSettings = field(default_factory=PortSettings)
    free_cores: bool = False


Clients = int | Literal["auto", "all"]
