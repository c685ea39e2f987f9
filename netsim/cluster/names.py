"""Domain names as DNS software handles them: validity, zones, reverse names.

Names inside the package are absolute (they end in a dot); comparisons ignore case (RFC 1034 §3.1).
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network

MAX_NAME = 255
MAX_LABEL = 63
_V4_SUFFIX, _V6_SUFFIX = ".in-addr.arpa.", ".ip6.arpa."


def absolute(name: str) -> str:
    """Return the name with its final dot."""
    return name if name.endswith(".") else f"{name}."


def is_domain(name: str) -> bool:
    """Whether DNS can carry the name: no empty label, labels up to 63 and the whole up to 255 bytes."""
    if name == ".":
        return True
    labels = name.removesuffix(".").split(".")
    if not name or any(not label or len(label.encode()) > MAX_LABEL for label in labels):
        return False
    return len(absolute(name).encode()) + 1 <= MAX_NAME


def is_subdomain(name: str, zone: str) -> bool:
    """Whether ``name`` is ``zone`` or lies under it; both absolute."""
    if zone == ".":
        return True
    name, zone = name.lower(), zone.lower()
    return name == zone or name.endswith(f".{zone}")


def longest_zone(zones: Iterable[str], name: str) -> str:
    """Return the most specific of the zones that hold the name, empty when none does."""
    return max((zone for zone in zones if is_subdomain(name, zone)), key=len, default="")


def below(name: str, zone: str) -> list[str]:
    """Return the labels of ``name`` in front of ``zone``, leftmost first."""
    base = name.removesuffix(".") if zone == "." else name[: len(name) - len(zone)].removesuffix(".")
    return base.split(".") if base else []


def joined(*parts: str) -> str:
    """Join labels and zones to an absolute name."""
    return ".".join(part.strip(".") for part in parts if part.strip(".")) + "."


@lru_cache(maxsize=65536)
def canonical_address(text: str) -> str:
    """Return an address in canonical text form, or an empty string for anything else."""
    try:
        address = ip_address(text)
    except ValueError:
        return ""
    return "" if getattr(address, "scope_id", None) else str(address)


def reverse_name(address: str) -> str:
    """Return the name under which the PTR record of an address stands."""
    return absolute(ip_address(address).reverse_pointer)


def is_reverse(name: str) -> bool:
    """Whether the name lies under one of the reverse trees."""
    return name.lower().endswith((_V4_SUFFIX, _V6_SUFFIX))


def address_of_reverse(name: str) -> str:
    """Return the address that a full reverse name stands for, empty for other names."""
    lowered = name.lower()
    if lowered.endswith(_V4_SUFFIX):
        octets = lowered.removesuffix(_V4_SUFFIX).split(".")
        return canonical_address(".".join(reversed(octets)))
    if lowered.endswith(_V6_SUFFIX):
        nibbles = lowered.removesuffix(_V6_SUFFIX).split(".")
        if len(nibbles) != 32 or any(len(nibble) != 1 for nibble in nibbles):
            return ""
        digits = "".join(reversed(nibbles))
        return canonical_address(":".join(digits[i : i + 4] for i in range(0, 32, 4)))
    return ""


def reverse_zones(network: IPv4Network | IPv6Network) -> tuple[str, ...]:
    """Return the reverse zones that cover a network exactly; several where it ends inside a label (coredns cidr)."""
    step = 8 if network.version == 4 else 4
    prefix = -(-network.prefixlen // step) * step
    labels = (network.max_prefixlen - prefix) // step
    zones = []
    for part in network.subnets(new_prefix=prefix):
        name = part.network_address.reverse_pointer.split(".")[labels:]
        zones.append(".".join(name) + ".")
    return tuple(zones)


def parse_network(text: str) -> IPv4Network | IPv6Network | None:
    """Return the network of ``address/length`` text, host bits allowed; ``None`` for anything else."""
    if "/" not in text or not text.rpartition("/")[2].isdecimal():
        return None
    try:
        return ip_network(text, strict=False)
    except ValueError:
        return None
