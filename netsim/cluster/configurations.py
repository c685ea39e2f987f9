"""What the input says of how a cluster's own components are configured."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ProxyFacts:
    """What the input says of kube-proxy's configuration.

    ``mode`` is empty where it is not said; ``local_cidrs`` are the ranges whose sources count as pods (empty: nothing
    tells them, ``None``: something other than a range does); ``node_port_addresses`` are ranges of node addresses at
    which node ports answer, ``None`` for the mode's own.
    """

    mode: str = ""
    local_cidrs: tuple[str, ...] | None = None
    masquerade_all: bool = False
    node_port_addresses: tuple[str, ...] | None = None
    localhost_node_ports: bool = True


@dataclass(frozen=True, slots=True)
class KubeletFacts:
    """What the input says of the kubelets' configuration; the API's defaults where it says nothing.

    ``max_pods`` is what a node takes whose capacity is not stated, ``domain`` the cluster domain (empty: not said),
    ``hairpin_mode`` how a bridge lets a pod reach itself through its own Service: ``promiscuous-bridge``,
    ``hairpin-veth``, or ``none``.
    """

    max_pods: int | None = None
    domain: str = ""
    hairpin_mode: str = "promiscuous-bridge"
