"""Which endpoints of a Service port a node uses (kubernetes ``pkg/proxy/topology.go``: CategorizeEndpoints).

As in Kubernetes 1.33 and later, hints count whatever the Service's annotations say; before, the proxy also wanted the
topology-mode annotation. Both agree where hints come from the EndpointSlice controller.
"""

from __future__ import annotations

from typing import NamedTuple

from netsim.cluster.service_rules.ports import Backend, ServedPort


class Choice(NamedTuple):
    """The endpoints of one Service port at one node.

    ``cluster`` serves traffic under policy Cluster, ``local`` under policy Local, ``reachable`` is their union.
    ``any_usable`` is True when the Service has a usable endpoint on some node, even if none is reachable from here.
    """

    cluster: tuple[Backend, ...] = ()
    local: tuple[Backend, ...] = ()
    reachable: tuple[Backend, ...] = ()
    any_usable: bool = False

    def internal(self, port: ServedPort) -> tuple[Backend, ...]:
        """Endpoints of traffic to the cluster IP."""
        return self.local if port.internal_local else self.cluster

    def external(self, port: ServedPort) -> tuple[Backend, ...]:
        """Endpoints of traffic from outside to an external address."""
        return self.local if port.external_local else self.cluster


def categorize(port: ServedPort, node: str, zone: str) -> Choice:
    """Return the endpoints a node uses: ready ones, narrowed by hints, else those that serve while they terminate.

    Parameters
    ----------
    node: name of the node; an empty name stands for any node without endpoints of the port.
    zone: the node's zone label, empty when it has none.
    """
    backends = port.backends
    if not backends:
        return Choice()
    draining = tuple(end for end in backends if end.draining)
    cluster: tuple[Backend, ...] = ()
    if port.uses_cluster:
        ready = tuple(end for end in backends if end.ready)
        cluster = _near(ready, node, zone) or draining
    if not port.uses_local:
        return Choice(cluster, (), cluster, bool(cluster))
    local = tuple(end for end in backends if end.ready and end.on(node)) or tuple(e for e in draining if e.on(node))
    usable = bool(draining) or any(end.ready for end in backends)
    if not port.uses_cluster:
        return Choice((), local, local, usable)
    return Choice(cluster, local, tuple(dict.fromkeys([*cluster, *local])), usable)


def _near(ready: tuple[Backend, ...], node: str, zone: str) -> tuple[Backend, ...]:
    """Apply topology hints: same node, else same zone, else all; they count only when all ready ones have them."""
    if all(end.node_hints for end in ready):
        here = tuple(end for end in ready if node in end.node_hints)
        if here:
            return here
    if all(end.zone_hints for end in ready):
        near = tuple(end for end in ready if zone in end.zone_hints)
        if near:
            return near
    return ready
