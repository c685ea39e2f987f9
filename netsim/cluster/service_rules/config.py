"""What kube-proxy (or the eBPF agent) was told on its command line, as far as it changes rules or answers."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from typing import Literal

from netsim.cluster.cluster import Cluster
from netsim.cluster.objects import Family, family_of

ProxyMode = Literal["iptables", "ipvs", "nftables", "ebpf"]
Network = IPv4Network | IPv6Network


@dataclass(frozen=True, slots=True)
class ProxyConfig:
    """Settings of the service proxy; the defaults are those of a kubeadm cluster.

    Parameters
    ----------
    local_cidrs: source ranges that count as traffic of pods (``--cluster-cidr`` with the ClusterCIDR local detector);
        ``None`` takes the cluster's pod ranges, ``()`` means that no local detector is configured.
    masquerade_all: ``--masquerade-all``: every packet to a cluster IP is masqueraded.
    node_port_addresses: ``--nodeport-addresses``, ranges of node addresses at which node ports answer; ``None`` is the
        mode's own default (all local addresses; nftables: the primary address of each family).
    localhost_node_ports: ``--iptables-localhost-nodeports``: node ports answer on 127.0.0.1 (iptables, IPv4 only).
    service_cidrs: the API server's service ranges, which nftables drops where unallocated; ``None`` takes the
        cluster's, ``()`` leaves the rule out.
    """

    local_cidrs: tuple[str, ...] | None = None
    masquerade_all: bool = False
    node_port_addresses: tuple[str, ...] | None = None
    localhost_node_ports: bool = True
    service_cidrs: tuple[str, ...] | None = None

    @classmethod
    def of(cls, cluster: Cluster) -> ProxyConfig:
        """Return the settings that the input states, else those of a kubeadm cluster."""
        stated = cluster.proxy
        if stated is None:
            return cls()
        return cls(
            stated.local_cidrs, stated.masquerade_all, stated.node_port_addresses, stated.localhost_node_ports
        )

    @property
    def detects_local(self) -> bool:
        """True when kube-proxy can tell pod traffic by its source (``localDetector.IsImplemented``)."""
        return self.local_cidrs != ()


@lru_cache(maxsize=65536)
def network(cidr: str) -> Network | None:
    """Return a range; ``None`` for text that is none, which kube-proxy ignores as well."""
    try:
        return ip_network(cidr.strip(), strict=False)
    except ValueError:
        return None


def inside(address: str, cidrs: tuple[str, ...]) -> bool:
    """Tell whether an address lies in one of the ranges; text that is no address lies in none."""
    if not cidrs:
        return False
    try:
        parsed = ip_address(address)
    except ValueError:
        return False
    return any((net := network(cidr)) is not None and parsed in net for cidr in cidrs)


def of_family(texts: tuple[str, ...], family: Family) -> tuple[str, ...]:
    """Keep the addresses or ranges of one family, and no empty ones."""
    return tuple(text for text in texts if text and family_of(text) == family)
