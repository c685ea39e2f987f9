"""Ranges of addresses in numbers, and the ranges that clusters usually have."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Mapping

from netsim.cluster.objects import Family
from netsim.errors import InputError, Place

NODE_MASKS: dict[Family, int] = {"IPv4": 24, "IPv6": 64}
MAX_MASK_DIFFERENCE = 16
"""IPv6 only: a node mask more than this longer than the cluster's is refused (cidrset's clusterSubnetMaxDiff)."""
DEFAULT_SERVICE_RANGES: Mapping[Family, str] = {"IPv4": "10.96.0.0/12", "IPv6": "fd00:10:96::/108"}


def address_text(value: int, family: Family) -> str:
    """Return an address as text; quick for IPv4, of which large clusters need hundreds of thousands."""
    if family == "IPv4":
        return f"{value >> 24}.{value >> 16 & 255}.{value >> 8 & 255}.{value & 255}"
    return str(ipaddress.IPv6Address(value))


def address_value(text: str) -> int:
    """Return an address as a number."""
    return int(ipaddress.ip_address(text))


class Range:
    """A CIDR in numbers. Raises `InputError` for text that is none."""

    __slots__ = ("bits", "family", "first", "last", "prefix", "text")

    def __init__(self, cidr: str, field: str = "") -> None:
        try:
            network = ipaddress.ip_network(cidr, strict=False)
        except ValueError:
            raise InputError(
                "not a range of addresses", place=Place(field=field), got=cidr, allowed="a CIDR such as 10.244.0.0/16"
            ) from None
        self.text = str(network)
        self.family: Family = "IPv4" if network.version == 4 else "IPv6"
        self.first, self.last = int(network.network_address), int(network.broadcast_address)
        self.prefix, self.bits = network.prefixlen, network.max_prefixlen

    def __contains__(self, value: int) -> bool:
        return self.first <= value <= self.last

    def overlaps(self, other: Range) -> bool:
        """Tell whether the two ranges share an address."""
        return self.family == other.family and self.first <= other.last and other.first <= self.last


def enclosing_range(addresses: Iterable[str], longest: int) -> str:
    """Return the smallest range that holds all addresses (or CIDRs) of one family, at most ``longest`` bits long."""
    ranges = [Range(address) for address in addresses]
    first, last = min(r.first for r in ranges), max(r.last for r in ranges)
    bits = ranges[0].bits
    prefix = min(longest, bits - (first ^ last).bit_length())
    network = first >> (bits - prefix) << (bits - prefix)
    return f"{address_text(network, ranges[0].family)}/{prefix}"


def cluster_range_for(nodes: int, family: Family, node_mask: int | None = None) -> str:
    """Return a cluster range with room for ``nodes`` blocks: the usual one, or a larger one where it is too small.

    Raises
    ------
    InputError
        No range of the family has room.
    """
    mask = NODE_MASKS[family] if node_mask is None else node_mask
    needed = mask - max(nodes - 1, 0).bit_length()
    if family == "IPv4":
        usual, large, shortest = "10.244.0.0/16", "10.128.0.0", 9
    else:
        usual, large, shortest = "fd00:10:244::/56", "fd00:10:244::", max(32, mask - MAX_MASK_DIFFERENCE)
    if needed >= Range(usual).prefix and (family == "IPv4" or mask - Range(usual).prefix <= MAX_MASK_DIFFERENCE):
        return usual
    if needed < shortest:
        raise InputError(
            f"no {family} cluster range holds {nodes} blocks of /{mask}", place=Place(field="cluster.nodes"), got=nodes,
            allowed=f"at most {1 << (mask - shortest)} nodes at this node mask",
        )  # fmt: skip
    return Range(f"{large}/{min(needed, mask)}").text
