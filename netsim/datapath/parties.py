"""Who talks to whom: pods by index, processes of nodes, hosts outside; and their addresses in one family."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from netsim.cluster.cluster import Cluster
from netsim.cluster.objects import Family, family_of
from netsim.cluster.policy import Outside
from netsim.cluster.policy import Party as PolicyParty
from netsim.datapath.path import EXTERNAL, Terminal
from netsim.errors import InputError

EXTERNAL_ADDRESS: Mapping[Family, str] = {"IPv4": "203.0.113.10", "IPv6": "2001:db8::10"}
"""Documentation addresses (RFC 5737, RFC 3849) that stand for any host outside."""
FAMILIES: tuple[Family, ...] = ("IPv4", "IPv6")


@dataclass(frozen=True, slots=True)
class HostParty:
    """A process on a node's own network: kubelet, kube-proxy, node-local DNS. ``node`` is the node's index."""

    node: int


@dataclass(frozen=True, slots=True)
class ExternalParty:
    """A host outside the cluster."""


Party = int | HostParty | ExternalParty
"""An end of a connection: a pod as its index in ``cluster.pods``, a node's process, or the outside."""


def terminal(cluster: Cluster, party: Party, family: Family | None = None) -> Terminal:
    """Return a party as an end of a path, with its address of a family (its primary one when left out).

    Raises
    ------
    InputError
        When a pod runs on no node.
    """
    if isinstance(party, ExternalParty):
        return Terminal(EXTERNAL, EXTERNAL_ADDRESS[family or "IPv4"])
    if isinstance(party, HostParty):
        node = cluster.nodes[party.node]
        return Terminal(f"node/{node.name}", _of_family(node.addresses, family, node.name), node)
    pod = cluster.pods[party]
    index = cluster.node_index.get(pod.node)
    if index is None:
        raise InputError("the pod runs on no node of the cluster", got=pod.key)
    node = cluster.nodes[index]
    if pod.template.host_network:
        return Terminal(pod.key, _of_family(node.addresses, family, node.name), node)
    return Terminal(pod.key, _of_family(pod.addresses, family, pod.key), node, pod)


def families(cluster: Cluster, party: Party) -> tuple[Family, ...]:
    """Return the families a party has addresses of, its primary one first."""
    if isinstance(party, ExternalParty):
        return FAMILIES
    addresses = cluster.nodes[party.node].addresses if isinstance(party, HostParty) else cluster.pods[party].addresses
    return tuple(dict.fromkeys(family_of(address) for address in addresses)) or FAMILIES


def pair(cluster: Cluster, source: Party, target: Party, family: Family | None = None) -> tuple[Terminal, Terminal]:
    """Return both ends with addresses of one family: ``family``, or the target's first one that the source has too."""
    if family is None:
        known = families(cluster, source)
        family = next((item for item in families(cluster, target) if item in known), known[0])
    return terminal(cluster, source, family), terminal(cluster, target, family)


def policy_party(end: Terminal) -> PolicyParty:
    """Return an end as policies see it."""
    if end.node is None:
        return Outside(end.address)
    return end.pod if end.pod is not None else end.node


def _of_family(addresses: tuple[str, ...], family: Family | None, name: str) -> str:
    """Return the address of a family, else the primary one; the name stands for an address that is not known."""
    matching = (address for address in addresses if family is None or family_of(address) == family)
    return next(matching, addresses[0] if addresses else name)
