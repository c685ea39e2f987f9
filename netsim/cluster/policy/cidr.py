"""Address ranges as Kubernetes reads them, compiled to integers for matching.

The API server reads CIDRs with ``ParseCIDRSloppy`` (kubernetes ``k8s.io/utils/net``): host bits may be set, IPv4 octets
may have leading zeros, an IPv4 address mapped into IPv6 counts as IPv4. ``ipaddress`` alone would differ in all three.
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from functools import lru_cache

from netsim.cluster.objects import IpBlock

_OCTETS = re.compile(r"\d{1,7}(\.\d{1,7}){3}", re.ASCII)
_PREFIX = re.compile(r"\d{1,7}", re.ASCII)
_MAPPED_BITS = 96


@dataclass(frozen=True, slots=True)
class Address:
    """An address as a number; ``bits`` is 32 or 128 and tells the family."""

    bits: int
    number: int


@dataclass(frozen=True, slots=True)
class Range:
    """A CIDR as a number and its mask."""

    bits: int
    base: int
    mask: int

    @property
    def prefix(self) -> int:
        """Length of the prefix in bits."""
        return self.mask.bit_count()

    def __contains__(self, address: Address) -> bool:
        return address.bits == self.bits and address.number & self.mask == self.base

    def strictly_holds(self, other: Range) -> bool:
        """Whether ``other`` is a strict subset, by the API server's test of first address and mask length."""
        return Address(other.bits, other.base) in self and other.prefix > self.prefix


@dataclass(frozen=True, slots=True)
class Block:
    """A compiled ``ipBlock``."""

    range: Range
    excepts: tuple[Range, ...]

    def __contains__(self, address: Address) -> bool:
        return address in self.range and not any(address in hole for hole in self.excepts)


def _number(text: str) -> tuple[int, int]:
    """Return (bits, number) as written, a mapped address still in 128 bits; ``ValueError`` for anything else."""
    if _OCTETS.fullmatch(text):
        octets = [int(octet) for octet in text.split(".")]
        if max(octets) > 255:
            raise ValueError(text)
        return 32, int.from_bytes(bytes(octets), "big")
    if "%" in text:
        raise ValueError(text)
    return 128, int(ipaddress.IPv6Address(text))


@lru_cache(maxsize=1 << 16)
def parse_address(text: str) -> Address:
    """Return the address that ``text`` writes; raises ``ValueError``."""
    bits, number = _number(text)
    if bits == 128 and number >> 32 == 0xFFFF:
        return Address(32, number & 0xFFFFFFFF)
    return Address(bits, number)


@lru_cache(maxsize=1 << 12)
def parse_range(text: str) -> Range:
    """Return the range that ``text`` (``address/length``) writes, host bits dropped; raises ``ValueError``."""
    address, slash, length = text.partition("/")
    if not slash or not _PREFIX.fullmatch(length):
        raise ValueError(text)
    bits, number = _number(address)
    prefix = int(length)
    if prefix > bits:
        raise ValueError(text)
    if bits == 128 and number >> 32 == 0xFFFF and prefix >= _MAPPED_BITS:
        bits, number, prefix = 32, number & 0xFFFFFFFF, prefix - _MAPPED_BITS
    mask = (1 << bits) - (1 << (bits - prefix))
    return Range(bits, number & mask, mask)


def compile_block(block: IpBlock) -> Block:
    """Return the block ready for matching; raises ``ValueError`` where it was not read by `read_policy`."""
    return Block(parse_range(block.cidr), tuple(parse_range(hole) for hole in block.excepts))
