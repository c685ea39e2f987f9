"""Kubenet: the bridge network the kubelet itself made, and what it needs from the cloud.

Source: kubernetes 1.23 ``pkg/kubelet/dockershim/network/kubenet/kubenet_linux.go`` (removed with dockershim in 1.24).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Literal

from netsim.cluster.cni.conflist import Conflist
from netsim.cluster.cni.hostlocal import range_sets
from netsim.cluster.cni.interfaces import Bridge, Loopback
from netsim.cluster.cni.ipam import Ipam
from netsim.cluster.cni.network import NodeFacts, NodeNetwork
from netsim.cluster.limitbook import KnownLimit, limit_book
from netsim.errors import InputError, Place

BRIDGE = "cbr0"
DEFAULT_MTU_BYTES = 1460
"""Used where no interface's MTU is known."""
NON_MASQUERADE_CIDR = "10.0.0.0/8"
"""kubelet ``--non-masquerade-cidr``: kubenet's own POSTROUTING rule masquerades everything else."""
HairpinMode = Literal["promiscuous-bridge", "hairpin-veth", "none"]


def bridge_mtu(interface_mtus: Iterable[int], stated: int = 0) -> int:
    """Return the MTU of cbr0 in bytes: the stated one (``--network-plugin-mtu``), else the smallest interface's.

    Parameters
    ----------
    interface_mtus: MTUs of the node's interfaces that are up and not loopback.
    stated: value of the flag, 0 when it is not given.
    """
    return stated or min(interface_mtus, default=DEFAULT_MTU_BYTES)


def kubenet_conflist(
    pod_cidrs: Iterable[str], *, mtu_bytes: int = DEFAULT_MTU_BYTES, hairpin: HairpinMode = "promiscuous-bridge"
) -> Conflist:
    """Return the chain kubenet runs on a node: loopback, and the bridge plugin with the node's range.

    Parameters
    ----------
    pod_cidrs: ``Node.spec.podCIDRs``; kubenet does nothing before the node has one.
    mtu_bytes: of cbr0, see `bridge_mtu`.
    hairpin: kubelet ``--hairpin-mode``.

    Raises
    ------
    InputError: no pod CIDR, or one host-local refuses.
    """
    cidrs = tuple(pod_cidrs)
    if not cidrs:
        raise InputError(
            "Kubenet does not have netConfig. This is most likely due to lack of PodCIDR",
            place=Place(field="spec.podCIDR"), allowed="a node range, for example 10.244.1.0/24",
        )  # fmt: skip
    bridge = Bridge(
        bridge=BRIDGE, is_gateway=True, ip_masq=False, mtu_bytes=mtu_bytes, hairpin=hairpin == "hairpin-veth",
        ipam=Ipam("host-local", range_sets([cidr] for cidr in cidrs)),
    )  # fmt: skip
    return Conflist("kubenet", "0.1.0", (Loopback(), bridge))


def kubenet_network(
    pod_cidrs: Iterable[str], *, mtu_bytes: int = DEFAULT_MTU_BYTES, hairpin: HairpinMode = "promiscuous-bridge"
) -> NodeNetwork:
    """Return the node's network under kubenet: the chain's, and what the kubelet adds itself.

    It makes the bridge promiscuous (with ebtables rules against the duplicates) for hairpin traffic, writes the
    masquerade rule for destinations outside `NON_MASQUERADE_CIDR`, shapes by the bandwidth annotations with tc on
    cbr0, and keeps host ports. Parameters and errors as `kubenet_conflist`.
    """
    network = kubenet_conflist(pod_cidrs, mtu_bytes=mtu_bytes, hairpin=hairpin).describe(NodeFacts(mtu_bytes))
    return replace(
        network, component="kubenet", promiscuous=hairpin == "promiscuous-bridge", encapsulation="none",
        masquerade=True, host_ports=True, pod_bandwidth=True,
    ).noted("kubenet enforces no NetworkPolicy", "routes between nodes are the cloud's")  # fmt: skip


def route_limit(provider: str) -> KnownLimit | None:
    """Return how many node routes a cloud's table takes (``aws``, ``azure``, ``gce``, ``huawei``), with its source.

    ``None`` for other providers: there routes are the operator's own.
    """
    return limit_book().get(f"cloud_routes_{provider}")
