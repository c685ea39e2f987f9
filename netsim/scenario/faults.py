"""What breaks during a run, and how long it takes until every node knows: a tagged union, one class a kind of fault."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from netsim.scenario.base import Spec
from netsim.scenario.quantities import Seconds

Instant = Annotated[Seconds, Field(ge=0)]
Span = Annotated[Seconds, Field(gt=0)]


class _Passing(Spec):
    """A fault that may pass: ``for`` how long it lasts, to the end of the run unless stated."""

    at: Instant = Field(description="when it happens, counted from the first transaction of the run")
    lasts: Span | None = Field(None, alias="for", description="how long it lasts; default: to the end of the run")


class LinkDown(_Passing):
    """A node's cable is out: what is on it or queued for it is lost, in both directions, and so is what comes later."""

    kind: Literal["link-down"]
    node: str = Field(description="name of the node")


class LinkUp(Spec):
    """The cable is back: ends a ``link-down`` of the same node that states no ``for``."""

    kind: Literal["link-up"]
    at: Instant = Field(description="when it is back")
    node: str = Field(description="name of the node")


class NodeLoss(_Passing):
    """A machine stops with everything on it: its cores, links, pods, connections and what they were working on."""

    kind: Literal["node-loss"]
    node: str = Field(description="name of the node")


class ReplicaCrash(_Passing):
    """Processes behind a Service die: their kernel resets the connections and refuses new ones, their work is gone."""

    kind: Literal["replica-crash"]
    service: str = Field(description="service: name or namespace/name; 'dns' is the cluster's DNS")
    replicas: Annotated[int, Field(ge=1)] | Literal["all"] = Field(
        1, description="how many crash, in the order of the Service's endpoints"
    )


Fault = Annotated[LinkDown | LinkUp | NodeLoss | ReplicaCrash, Field(discriminator="kind")]


class ConvergenceSpec(Spec):
    """How long it takes from a fault (or its end) until nodes stop (or start) using the endpoints concerned.

    Defaults are those of Kubernetes: kube-controller-manager's ``--node-monitor-grace-period`` (50 s since 1.32, 40 s
    before) and ``--node-monitor-period``, the kubelet's lease renewal every quarter of 40 s
    (``nodeLeaseDurationSeconds``), its relisting of containers every second, and a readiness probe's ``periodSeconds``.
    """

    node_grace: Seconds = Field(50.0, ge=0, description="silence after which a node counts as not ready")
    node_check: Seconds = Field(5.0, ge=0, description="how often that is looked at")
    lease_renewal: Seconds = Field(10.0, ge=0, description="how often a kubelet says that its node is alive")
    container_check: Seconds = Field(1.0, ge=0, description="how often a kubelet looks for containers that ended")
    readiness_period: Seconds = Field(10.0, ge=0, description="how often a kubelet probes whether a pod is ready")
    propagation: Seconds = Field(
        0.1, ge=0, description="from a changed status to the EndpointSlice at every node: controller and watches"
    )
    min_sync: Seconds | None = Field(
        None, ge=0, description="least time between two syncs of a node's proxy; default: as the proxy has it"
    )
    sync: Seconds | None = Field(None, ge=0, description="how long a sync takes; default: as its rules are many")
