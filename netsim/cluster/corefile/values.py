"""Values in a Corefile: addresses with schemes and ports, zones, Go numbers, durations and regular expressions.

Sources: coredns ``plugin/normalize.go``, ``plugin/pkg/parse``, ``core/dnsserver/address.go``; Go ``time.ParseDuration``
and RE2 syntax.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from netsim.cluster.names import absolute, canonical_address, is_domain, parse_network, reverse_zones

DEFAULT_PORTS = {"dns": 53, "tls": 853, "quic": 853, "grpc": 443, "https": 443, "https3": 443}
"""Transports that a server block or an upstream may name, with their ports."""


class RefusedError(ValueError):
    """A value that CoreDNS would refuse; the message is the reason."""


@dataclass(frozen=True, slots=True)
class ZoneAddress:
    """What a server block answers: a zone at a port over a transport."""

    zone: str
    port: int = 53
    transport: str = "dns"

    def __str__(self) -> str:
        return f"{self.transport}://{self.zone}:{self.port}"


def split_transport(text: str) -> tuple[str, str]:
    """Return the transport of ``scheme://rest`` and the rest; ``dns`` where there is no known scheme."""
    for transport in DEFAULT_PORTS:
        if text.startswith(f"{transport}://"):
            return transport, text[len(transport) + 3 :]
    return "dns", text


def split_zone(text: str) -> tuple[tuple[str, ...], int | None]:
    """Return the zones and the port of a key without scheme; a network in CIDR form becomes its reverse zones."""
    host, port = text, None
    before, colon, after = text.rpartition(":")
    if colon and not after:
        raise RefusedError(f'expecting data after last colon: "{text}"')
    if colon and re.fullmatch(r"[+-]?\d+", after):
        host, port = before, int(after)
    if len(host) > 255:
        raise RefusedError(f"specified zone is too long: {len(host)} > 255")
    if not is_domain(host) or not is_domain(absolute(host)):
        raise RefusedError(f"zone is not a valid domain name: {host}")
    if port is not None and not 0 <= port <= 65535:
        raise RefusedError(f"invalid port {port}")
    network = parse_network(host)
    if network is None:
        return (absolute(host),), port
    if text.startswith(":") or (text.startswith("0") and ":" in text):
        raise RefusedError(f"invalid CIDR {text}")
    return reverse_zones(network), port


def zone_addresses(key: str) -> tuple[ZoneAddress, ...]:
    """Return what one key of a server block stands for."""
    transport, rest = split_transport(key)
    zones, port = split_zone(rest)
    return tuple(ZoneAddress(zone, DEFAULT_PORTS[transport] if port is None else port, transport) for zone in zones)


def normalized(text: str) -> tuple[str, ...]:
    """Return the lower-case absolute zones of a plugin's zone argument; empty when it is not a name."""
    try:
        zones, _ = split_zone(split_transport(text)[1])
    except RefusedError:
        return ()
    return tuple(zone.lower() for zone in zones)


def zones_or(arguments: Iterable[str], own: Iterable[str]) -> tuple[str, ...]:
    """Return the zones a plugin names, else those of its server block (OriginsFromArgsOrServerBlock)."""
    given = list(arguments)
    return tuple(zone for text in (given or own) for zone in normalized(text))


def split_host_port(text: str) -> tuple[str, str]:
    """Return host and port as Go's net.SplitHostPort does."""
    host, colon, port = text.rpartition(":")
    if not colon:
        raise RefusedError(f"address {text}: missing port in address")
    if host.startswith("["):
        if not host.endswith("]"):
            raise RefusedError(f"address {text}: missing port in address")
        return host[1:-1], port
    if ":" in host:
        raise RefusedError(f"address {text}: too many colons in address")
    if "[" in text or "]" in text:
        raise RefusedError(f"address {text}: unexpected bracket in address")
    return host, port


@dataclass(frozen=True, slots=True)
class Upstream:
    """One server that queries are forwarded to. ``address`` is an IP address or the path of a resolv.conf file."""

    address: str
    port: int = 53
    transport: str = "dns"
    file: bool = False


def upstream(text: str) -> Upstream:
    """Return the upstream that ``[scheme://]address[:port]`` or a file name stands for."""
    transport, rest = split_transport(text)
    try:
        host, port_text = split_host_port(rest)
    except RefusedError:
        host, port_text = rest, str(DEFAULT_PORTS[transport])
    bare = host.partition("%")[0] if "%" in host else host
    port_text = port_text.partition("%")[0]
    address = canonical_address(bare)
    if address and port_text.isdecimal() and int(port_text) <= 65535:
        return Upstream(address, int(port_text), transport)
    if looks_like_file(rest):
        return Upstream(rest, 53, transport, file=True)
    raise RefusedError(f'not an IP address or file: "{rest}"')


def looks_like_file(text: str) -> bool:
    """Whether an argument names a resolv.conf: files of the DNS pod cannot be looked at, so the form decides."""
    return text.startswith("/") or text.endswith("resolv.conf")


# ------------------------------------------------------------------------------------------------ Go literals


def integer(text: str) -> int:
    """Return the number as Go's strconv.Atoi reads it."""
    if not re.fullmatch(r"[+-]?[0-9]+", text) or abs(int(text)) >= 1 << 63:
        raise RefusedError(f'strconv.Atoi: parsing "{text}": invalid syntax')
    return int(text)


def unsigned(text: str, bits: int = 32) -> int:
    """Return the number as Go's strconv.ParseUint reads it in base 10."""
    if not re.fullmatch(r"[0-9]+", text):
        raise RefusedError(f'strconv.ParseUint: parsing "{text}": invalid syntax')
    if int(text) >= 1 << bits:
        raise RefusedError(f'strconv.ParseUint: parsing "{text}": value out of range')
    return int(text)


_UNITS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "μs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
_DURATION = re.compile(r"(\d+\.?\d*|\.\d+)(ns|us|µs|μs|ms|s|m|h)")


def duration(text: str) -> float:
    """Return seconds of a Go duration such as ``1m30s``."""
    sign, rest = (-1.0 if text.startswith("-") else 1.0), text.lstrip("+-")
    if rest == "0" and len(text) - len(rest) <= 1:
        return 0.0
    parts = _DURATION.findall(rest)
    if not parts or "".join(number + unit for number, unit in parts) != rest or len(text) - len(rest) > 1:
        missing = "missing unit in" if re.fullmatch(r"\d+\.?\d*", rest) else "invalid"
        raise RefusedError(f'time: {missing} duration "{text}"')
    seconds = 0.0
    for number, unit in parts:
        seconds += float(number) * _UNITS[unit]
    return sign * seconds


_UNSUPPORTED = re.compile(r"\(\?(?:=|!|<=|<!|>|\(|#)|\\[1-9]|\(\?P=|[*+?}]\+")
_POSIX = {
    "alpha": "a-zA-Z", "digit": "0-9", "alnum": "0-9A-Za-z", "upper": "A-Z", "lower": "a-z", "space": r"\s",
    "word": r"\w", "xdigit": "0-9A-Fa-f", "punct": r"!-/:-@\[-`{-~",
}  # fmt: skip


def regular_expression(text: str) -> re.Pattern[str]:
    r"""Compile a Go (RE2) regular expression.

    RE2 has neither look-around nor back references; ``\z``, POSIX classes and ``(?<name>`` are translated.
    """
    if _UNSUPPORTED.search(text):
        raise RefusedError(f"error parsing regexp: invalid or unsupported Perl syntax: `{text}`")
    translated = text.replace(r"\z", r"\Z").replace("(?<", "(?P<")
    translated = re.sub(r"\[:(\w+):\]", lambda found: _POSIX.get(found[1], found[0]), translated)
    try:
        return re.compile(translated, re.ASCII)
    except (re.error, OverflowError, RecursionError) as error:
        raise RefusedError(f"error parsing regexp: {error}: `{text}`") from None
