"""The ``ipam`` section of a plugin's configuration, and the version rules its reading depends on."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from netsim.cluster.cni.gojson import Members
from netsim.cluster.cni.hostlocal import RangeSet, parse_cidr, range_sets, read_range_sets
from netsim.cluster.cni.network import NodeFacts, NodeNetwork, families_of
from netsim.cluster.objects import Family
from netsim.errors import InputError

VERSIONS = ("0.1.0", "0.2.0", "0.3.0", "0.3.1", "0.4.0", "1.0.0", "1.1.0")
"""Versions of the CNI specification that the reference plugins speak."""
PLACEHOLDER = re.compile(r"__[A-Z][A-Z0-9_]*__|\{\{.*?\}\}|\$\{\w+\}|\$\(\w+\)")
"""What installers replace in a template: ``__CNI_MTU__``, ``{{.PodCIDR}}``, ``${VAR}``."""


def version_tuple(text: str) -> tuple[int, ...]:
    """Return a version for comparison; an empty one is 0.1.0 (CNI ``pkg/version``). Raises `InputError`."""
    if not text:
        return (0, 1, 0)
    parts = text.split(".")
    if len(parts) > 3:
        raise InputError(f'invalid version "{text}": too many parts')
    for part, word in zip(parts, ("major", "minor", "micro"), strict=False):
        if not re.fullmatch(r"[+-]?[0-9]{1,9}", part):
            raise InputError(f'failed to convert {word} version part "{part}"')
    return tuple(int(part) for part in [*parts, "0", "0"][:3])



@dataclass(frozen=True, slots=True)
class Ipam:
    """The ``ipam`` section: its type and, for host-local, its ranges. ``filled_later``: an agent writes them."""

    type: str = ""
    range_sets: tuple[RangeSet, ...] = ()
    families: tuple[Family, ...] = ()
    filled_later: bool = False

    def join(self, network: NodeNetwork, node: NodeFacts) -> NodeNetwork:
        """Return the network with this section's ranges; missing ones come from the node's pod CIDRs."""
        sets = self.range_sets
        if self.filled_later and node.pod_cidrs:
            sets = range_sets([cidr] for cidr in node.pod_cidrs)
        families = self.families or tuple(dict.fromkeys(each.family for each in sets))
        described = replace(network, ipam=self.type, range_sets=sets, families=families)
        if self.filled_later and not sets:
            return described.noted("no address range in the file: an agent fills it in from the node's pod CIDR")
        return described


NO_IPAM = Ipam()
_POD_CIDR_WORDS = ("usePodCidr", "usePodCidrIPv6")


def read_ipam(plugin: Members, version: str) -> Ipam:
    """Read a plugin's ``ipam`` section. Raises `InputError` with the address manager's message."""
    members = plugin.child("ipam", "types.IPAM")
    if members is None:
        return NO_IPAM
    kind = members.string("type")
    return _IPAM_READERS.get(kind, _other_ipam)(members, kind, version)


def _host_local(members: Members, kind: str, version: str) -> Ipam:
    text = repr(dict(members.values))
    if PLACEHOLDER.search(text) or any(word in text for word in _POD_CIDR_WORDS):
        return Ipam(kind, filled_later=True)
    sets = read_range_sets(members, version_tuple(version))
    return Ipam(kind, sets, filled_later=not sets)


def _static(members: Members, kind: str, version: str) -> Ipam:
    addresses = []
    for each in members.objects("addresses", "main.Address"):
        text = each.string("address")
        try:
            parse_cidr(text)
        except InputError:
            message = f"the 'address' field is expected to be in CIDR notation, got: '{text}'"
            raise InputError(message, place=each.place("address")) from None
        addresses.append(text)
    return Ipam(kind, families=families_of(tuple(addresses)))


def _other_ipam(members: Members, kind: str, version: str) -> Ipam:
    return Ipam(kind)


_IPAM_READERS: Mapping[str, Callable[[Members, str, str], Ipam]] = {"host-local": _host_local, "static": _static}
