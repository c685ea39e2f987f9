"""What a replication needs, resolved and ready: the engine's input."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from netsim.engine.kernel.ports import PortSettings
from netsim.engine.transport.tcp import TcpSettings
from netsim.scenario.spec import DnsSpec, RunSpec

if TYPE_CHECKING:
    from netsim.cluster.cluster import Cluster
    from netsim.cluster.faults import Fault
    from netsim.cluster.traffic import Edge
    from netsim.engine.network import Datapath


@dataclass(frozen=True, slots=True)
class Convergence:
    """How news of faults travel (`netsim.scenario.faults.ConvergenceSpec`), the proxy's pace filled in; seconds."""

    node_grace_s: float = 50.0
    node_check_s: float = 5.0
    lease_renewal_s: float = 10.0
    container_check_s: float = 1.0
    readiness_period_s: float = 10.0
    propagation_s: float = 0.1
    min_sync_s: float = 1.0
    sync_s: float = 0.0

    @property
    def longest_s(self) -> float:
        """The longest any news may take."""
        noticed = max(self.node_grace_s + self.node_check_s, self.container_check_s, self.readiness_period_s)
        return noticed + self.propagation_s + self.min_sync_s + self.sync_s


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
    neighbours_max: entries of a node's neighbour table; `None` where it never runs out.
    cpu_limits: pods are held to their CPU limits.
    free_cores: cores take no time (`netsim.engine.lifting`).
    faults, convergence: what breaks, and how news of it travel.
    """

    cluster: Cluster
    datapath: Datapath
    edges: tuple[Edge, ...]
    dns: DnsSpec | None = None
    run: RunSpec = field(default_factory=RunSpec)
    tcp: TcpSettings = field(default_factory=TcpSettings)
    conntrack_max: int | None = None
    ports: PortSettings = field(default_factory=PortSettings)
    neighbours_max: int | None = None
    cpu_limits: bool = True
    free_cores: bool = False
    faults: tuple[Fault, ...] = ()
    convergence: Convergence = field(default_factory=Convergence)


Clients = int | Literal["auto", "all"]
