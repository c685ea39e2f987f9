"""host-local IPAM: which address the next pod on a node gets, and when there is none left.

The rules are those of the reference plugin (containernetworking/plugins ``plugins/ipam/host-local/backend/allocator``:
``range.go``, ``range_set.go``, ``config.go``, ``allocator.go``), including its error messages:

* A range of subnet S goes from network+1 to broadcast-1 (IPv4) or to the last address (IPv6) unless stated; its
  gateway is network+1 unless stated and is never given out.
* The ranges of one set form a ring. The search starts after the last address given and wraps once, so a
  crash-looping pod does not see its old address again until the ring has been run through.
* A pod gets one address from every set, so two sets are dual stack.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from netsim.cluster.cni.gojson import Members
from netsim.cluster.objects import Family
from netsim.errors import InputError, Place

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network
ONE_PER_FAMILY_BEFORE = (0, 3, 0)
"""CNI results before this version carry one address a family (``config.go``)."""


def parse_address(text: str) -> Address:
    """Read an IP address as Go's ``net.ParseIP`` does: no zone, IPv4-mapped IPv6 is IPv4. Raises `InputError`."""
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        raise InputError(f"invalid IP address: {text}") from None
    if isinstance(address, ipaddress.IPv6Address):
        if address.scope_id is not None:
            raise InputError(f"invalid IP address: {text}")
        return address.ipv4_mapped or address
    return address


def parse_cidr(text: str) -> tuple[Address, int]:
    """Read ``address/length`` and keep host bits, as the plugins do. Raises `InputError`."""
    head, slash, length = text.partition("/")
    refused = InputError(f"invalid CIDR address: {text}")
    if not slash or not (length.isascii() and length.isdigit()) or len(length) > 3:
        raise refused
    try:
        address = parse_address(head)
    except InputError:
        raise refused from None
    if int(length) > address.max_prefixlen:
        raise refused
    return address, int(length)


@dataclass(frozen=True, slots=True)
class Range:
    """One range of addresses, both ends included. Build it with `Range.of`, which applies the plugin's checks."""

    subnet: Network
    start: Address
    end: Address
    gateway: Address

    @classmethod
    def of(
        cls, subnet: str, *, range_start: str | None = None, range_end: str | None = None, gateway: str | None = None
    ) -> Range:
        """Return the range with the plugin's defaults filled in (``Range.Canonicalize``).

        Raises
        ------
        InputError: with the plugin's message: host bits set, too small, or an end or gateway outside the subnet.
        """
        address, length = parse_cidr(subnet)
        if length > address.max_prefixlen - 2:
            raise InputError(f"Network {address}/{length} too small to allocate from")
        network = ipaddress.ip_network(f"{address}/{length}", strict=False)
        if network.network_address != address:
            raise InputError(
                f"Network has host bits set. For a subnet mask of length {length} the network address is "
                f"{network.network_address}"
            )
        door = parse_address(gateway) if gateway else network.network_address + 1
        if door not in network:
            raise InputError(f"gateway {door} not in network {network}")
        last = network.broadcast_address - 1 if network.version == 4 else network.broadcast_address
        start = _inside(network, parse_address(range_start)) if range_start else network.network_address + 1
        end = _inside(network, parse_address(range_end)) if range_end else last
        if range_end and int(end) < int(start):
            raise InputError(f"{end} is in network {network} but before start {start}")
        return cls(network, start, end, door)

    def __contains__(self, address: Address) -> bool:
        return address.version == self.subnet.version and int(self.start) <= int(address) <= int(self.end)

    def overlaps(self, other: Range) -> bool:
        """Tell whether the two ranges share an address."""
        return self.start in other or self.end in other or other.start in self or other.end in self

    @property
    def capacity(self) -> int:
        """Addresses that can be given out: all but the gateway."""
        size = max(int(self.end) - int(self.start) + 1, 0)
        return size - (self.gateway in self)

    def __str__(self) -> str:
        return f"{self.start}-{self.end}"


def _inside(network: Network, address: Address) -> Address:
    if address.version != network.version:
        raise InputError(f"IP {address} is not the same protocol as subnet {network}")
    if address not in network:
        raise InputError(f"{address} not in network {network}")
    return address


@dataclass(frozen=True, slots=True)
class RangeSet:
    """Ranges of one family that form a ring; a pod gets one address from it."""

    ranges: tuple[Range, ...]

    def __post_init__(self) -> None:
        if not self.ranges:
            raise InputError("empty range set")
        if any(each.subnet.version != self.ranges[0].subnet.version for each in self.ranges):
            raise InputError("mixed address families")
        for index, one in enumerate(self.ranges):
            for other in self.ranges[index + 1 :]:
                if one.overlaps(other):
                    raise InputError(f"subnets {one} and {other} overlap")

    @property
    def family(self) -> Family:
        """IP family of the set."""
        return "IPv4" if self.ranges[0].subnet.version == 4 else "IPv6"

    @property
    def capacity(self) -> int:
        """Pods the set can serve at once."""
        return sum(each.capacity for each in self.ranges)

    def range_for(self, address: Address) -> Range:
        """Return the range that holds an address. Raises `InputError` when none does."""
        for each in self.ranges:
            if address in each:
                return each
        raise InputError(f"{address} not in range set {self}")

    def overlaps(self, other: RangeSet) -> bool:
        """Tell whether any ranges of the two sets overlap."""
        return any(one.overlaps(two) for one in self.ranges for two in other.ranges)

    def ring(self, last: Address | None = None) -> Iterator[Address]:
        """Yield every address that may be given out once, starting after ``last`` (gateways left out)."""
        home = next((index for index, each in enumerate(self.ranges) if last is not None and last in each), None)
        if home is None or last is None:
            for each in self.ranges:
                yield from _walk(each, int(each.start), int(each.end))
            return
        yield from _walk(self.ranges[home], int(last) + 1, int(self.ranges[home].end))
        for each in (*self.ranges[home + 1 :], *self.ranges[:home]):
            yield from _walk(each, int(each.start), int(each.end))
        yield from _walk(self.ranges[home], int(self.ranges[home].start), int(last))

    def __str__(self) -> str:
        return ",".join(str(each) for each in self.ranges)


def _walk(within: Range, first: int, final: int) -> Iterator[Address]:
    make = ipaddress.IPv4Address if within.subnet.version == 4 else ipaddress.IPv6Address
    gateway = int(within.gateway)
    for number in range(first, final + 1):
        if number != gateway:
            yield make(number)


class HostLocal:
    """The allocator of one node: it remembers what is reserved and the last address each set gave.

    Parameters
    ----------
    sets: the range sets of the configuration.
    reserved: addresses already given out.
    last: last address given, by position of the set (what the plugin keeps in ``last_reserved_ip.N``).
    """

    def __init__(
        self, sets: Sequence[RangeSet], reserved: Iterable[str] = (), last: Mapping[int, str] | None = None
    ) -> None:
        self.sets = tuple(sets)
        self._reserved = {parse_address(text) for text in reserved}
        self._last: dict[int, Address] = {index: parse_address(text) for index, text in (last or {}).items()}

    @property
    def reserved(self) -> int:
        """Addresses given out."""
        return len(self._reserved)

    def allocate(self, requested: Iterable[str] = ()) -> tuple[str, ...]:
        """Return the addresses of the next pod, one per set; nothing is kept when one set has none left.

        Parameters
        ----------
        requested: addresses the pod asks for (the ``ips`` capability), at most one per set.

        Raises
        ------
        InputError: with the plugin's message when a set is exhausted or a request cannot be met.
        """
        wanted = [parse_address(text) for text in requested]
        given: list[Address] = []
        for index, each in enumerate(self.sets):
            ask = next((address for address in wanted if any(address in one for one in each.ranges)), None)
            try:
                address = self._next(index, each) if ask is None else self._asked(each, ask)
            except InputError as error:
                raise InputError(f"failed to allocate for range {index}: {error.message}", place=error.place) from None
            if ask is not None:
                wanted.remove(ask)
            given.append(address)
        if wanted:
            raise InputError("failed to allocate all requested IPs: " + " ".join(str(address) for address in wanted))
        self._reserved.update(given)
        self._last.update(enumerate(given))
        return tuple(str(address) for address in given)

    def release(self, addresses: Iterable[str]) -> None:
        """Give addresses back; where the search starts next does not change."""
        self._reserved.difference_update(parse_address(text) for text in addresses)

    def _next(self, index: int, ranges: RangeSet) -> Address:
        found = next((address for address in ranges.ring(self._last.get(index)) if address not in self._reserved), None)
        if found is None:
            raise InputError(f"no IP addresses available in range set: {ranges}")
        return found

    def _asked(self, ranges: RangeSet, address: Address) -> Address:
        if address == ranges.range_for(address).gateway:
            raise InputError(f"requested ip {address} is subnet's gateway")
        if address in self._reserved:
            raise InputError(f"requested IP address {address} is not available in range set {ranges}")
        return address


def read_range_sets(ipam: Members, version: tuple[int, ...] = (0, 3, 1)) -> tuple[RangeSet, ...]:
    """Return the range sets of an ``ipam`` section (``LoadIPAMConfig``).

    A single old-style ``subnet`` comes before ``ranges``. No range at all yields an empty tuple: agents such as
    kube-router fill the subnet in later, so the caller decides whether that is an error.

    Parameters
    ----------
    ipam: the ``ipam`` object of a plugin configuration.
    version: the configuration's CNI version.

    Raises
    ------
    InputError: with the plugin's message.
    """
    stated = [[ipam]] if ipam.string("subnet") else []
    for index, item in enumerate(ipam.array("ranges", "[]allocator.RangeSet")):
        if item is not None and not isinstance(item, list):
            raise ipam.refuse("ranges", item, "allocator.RangeSet")
        stated.append([ipam.nested(f"ranges[{index}][{at}]", one or {}, "Range") for at, one in enumerate(item or ())])
    sets = []
    for index, members in enumerate(stated):
        try:
            sets.append(RangeSet(tuple(_read_range(each) for each in members)))
        except InputError as error:
            message = f"invalid range set {index}: {error.message}"
            raise InputError(message, place=error.place, got=error.got).at(ipam.place("ranges")) from None
    families = [each.family for each in sets]
    if version < ONE_PER_FAMILY_BEFORE and len(families) > len(dict.fromkeys(families)):
        written = ".".join(str(number) for number in version)
        raise InputError(
            f"CNI version {written} does not support more than 1 address per family", place=ipam.place("ranges")
        )
    for index, one in enumerate(sets):
        for step, other in enumerate(sets[index + 1 :], index + 1):
            if one.overlaps(other):
                raise InputError(f"range set {index} overlaps with {step}", place=ipam.place("ranges"))
    return tuple(sets)


def _read_range(members: Members) -> Range:
    subnet = members.string("subnet")
    if not subnet:
        raise InputError("IP <nil> not v4 nor v6", place=members.place("subnet"))
    try:
        return Range.of(
            subnet,
            range_start=members.string("rangeStart") or None,
            range_end=members.string("rangeEnd") or None,
            gateway=members.string("gateway") or None,
        )
    except InputError as error:
        raise error.at(Place(field=members.where)) from None


def range_sets(sets: Iterable[Iterable[str | Mapping[str, Any]]]) -> tuple[RangeSet, ...]:
    """Return range sets from plain data: each set a list of subnets or of objects as in a configuration."""
    ranges = [[{"subnet": item} if isinstance(item, str) else dict(item) for item in each] for each in sets]
    return read_range_sets(Members({"ranges": ranges}, "IPAMConfig", "ipam"))
