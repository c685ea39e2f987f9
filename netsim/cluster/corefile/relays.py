"""Set-up of the plugins that pass queries on: cache, forward, grpc, autopath, loadbalance, dns64.

Each follows the ``setup.go`` of the CoreDNS plugin of that name, errors included.
"""

from __future__ import annotations

from typing import Literal, cast

from netsim.cluster.corefile.directive import Directive, read_block
from netsim.cluster.corefile.sources import RCODES
from netsim.cluster.corefile.specs import Autopath, Cache, CacheClass, Dns64, Forward, Loadbalance
from netsim.cluster.corefile.values import (
    RefusedError,
    Upstream,
    duration,
    integer,
    looks_like_file,
    normalized,
    unsigned,
    upstream,
)
from netsim.cluster.names import is_domain, parse_network

MAX_UPSTREAMS = 15
"""Most servers one ``forward`` takes (plugin/forward/setup.go)."""
MAX_SERVFAIL_S = 300.0
"""Longest a failure may be cached (RFC 2308 §7.1)."""
Policy = Literal["random", "round_robin", "sequential"]


# ------------------------------------------------------------------------------------------------ cache


def setup_cache(directive: Directive) -> Cache:
    """Read ``cache [TTL] [ZONES...] { success, denial, prefetch, ... }``."""
    directive.advance()
    arguments = directive.arguments()
    ttl: int | None = None
    if arguments and (arguments[0].lstrip("+-")).isdecimal():
        ttl = _positive_ttl(arguments.pop(0))
    zones = directive.zones(arguments)
    found = read_cache_block(directive, ttl)
    directive.finish_once()
    stale_s, verify = cast(tuple[float, bool], found.get("serve_stale", (0.0, False)))
    prefetch, window, percent = cast(tuple[int, float, int], found.get("prefetch", (0, 60.0, 10)))
    return Cache(
        zones,
        success=cast(CacheClass, found.get("success", CacheClass(max_ttl_s=ttl or 3600))),
        denial=cast(CacheClass, found.get("denial", CacheClass(max_ttl_s=ttl or 1800))),
        servfail_s=cast(float, found.get("servfail", 5.0)),
        prefetch=prefetch,
        prefetch_window_s=window,
        prefetch_percent=percent,
        serve_stale_s=stale_s,
        verify_stale=verify,
        keep_ttl="keepttl" in found,
        no_success=cast(tuple[str, ...], found.get("disable success", ())),
        no_denial=cast(tuple[str, ...], found.get("disable denial", ())),
    )


def read_cache_block(directive: Directive, ttl: int | None) -> dict[str, object]:
    """Read the properties of a cache; ``disable`` appears under ``disable success`` and ``disable denial``."""
    found: dict[str, object] = {}
    while directive.block():
        match directive.value:
            case "success":
                found["success"] = _cache_class(directive, CacheClass(max_ttl_s=ttl or 3600))
            case "denial":
                found["denial"] = _cache_class(directive, CacheClass(max_ttl_s=ttl or 1800))
            case "prefetch":
                found["prefetch"] = _prefetch(directive)
            case "serve_stale":
                found["serve_stale"] = _serve_stale(directive)
            case "servfail":
                found["servfail"] = _servfail(directive)
            case "disable":
                kind, zones = _disable(directive)
                found[f"disable {kind}"] = zones
            case "keepttl":
                found["keepttl"] = directive.flag()
            case _:
                raise directive.argument_error()
    return found


def _positive_ttl(text: str) -> int:
    seconds = integer(text)
    if seconds <= 0:
        raise RefusedError(f"cache TTL can not be zero or negative: {seconds}")
    return seconds


def _cache_class(directive: Directive, default: CacheClass) -> CacheClass:
    taken = directive.some()
    capacity = integer(taken[0])
    longest = _positive_ttl(taken[1]) if len(taken) > 1 else default.max_ttl_s
    shortest = integer(taken[2]) if len(taken) > 2 else default.min_ttl_s
    if shortest < 0:
        raise RefusedError(f"cache min TTL can not be negative: {shortest}")
    return CacheClass(capacity, longest, shortest)


def _prefetch(directive: Directive) -> tuple[int, float, int]:
    taken = directive.arguments()
    if not 1 <= len(taken) <= 3:
        raise directive.argument_error()
    amount = integer(taken[0])
    if amount < 0:
        raise RefusedError(f"prefetch amount should be positive: {amount}")
    window = duration(taken[1]) if len(taken) > 1 else 60.0
    percent = 10
    if len(taken) > 2:
        if not taken[2].endswith("%"):
            raise RefusedError(f"last character of percentage should be `%`, but is: {taken[2][-1:]!r}")
        percent = integer(taken[2][:-1])
        if not 10 <= percent <= 90:
            raise RefusedError(f"percentage should fall in range [10, 90]: {percent}")
    return amount, window, percent


def _serve_stale(directive: Directive) -> tuple[float, bool]:
    taken = directive.arguments()
    if len(taken) > 2:
        raise directive.argument_error()
    seconds = duration(taken[0]) if taken else 3600.0
    if seconds < 0:
        raise RefusedError("invalid negative duration for serve_stale")
    mode = taken[1].lower() if len(taken) > 1 else "immediate"
    if mode not in ("immediate", "verify"):
        raise RefusedError(f"invalid value for serve_stale refresh mode: {mode}")
    return seconds, mode == "verify"


def _servfail(directive: Directive) -> float:
    seconds = duration(directive.one())
    if seconds < 0:
        raise RefusedError("invalid negative ttl for servfail")
    if seconds > MAX_SERVFAIL_S:
        raise RefusedError("caching SERVFAIL responses over 5 minutes is not permitted")
    return seconds


def _disable(directive: Directive) -> tuple[str, tuple[str, ...]]:
    taken = directive.some()
    zones = tuple(zone for text in taken[1:] for zone in normalized(text)) if taken[1:] else (".",)
    if taken[0] not in ("success", "denial"):
        raise RefusedError('cache type for disable must be "success" or "denial"')
    return taken[0], zones


# ------------------------------------------------------------------------------------------------ forward, grpc


def setup_forward(directive: Directive) -> tuple[Forward, ...]:
    """Read every ``forward FROM TO... { ... }``; several may stand in one server block."""
    return tuple(_forwards(directive, frozenset(("dns", "tls"))))


def setup_grpc(directive: Directive) -> tuple[Forward, ...]:
    """Read every ``grpc FROM TO... { ... }``."""
    return tuple(_forwards(directive, frozenset(("dns", "grpc", "tls"))))


def _forwards(directive: Directive, transports: frozenset[str]) -> list[Forward]:
    found = []
    while directive.advance():
        source = directive.following()
        zones = normalized(source)
        if not zones:
            raise RefusedError(f"unable to normalize '{source}'")
        upstreams = tuple(_target(text, transports) for text in directive.some())
        if len(upstreams) > MAX_UPSTREAMS:
            raise RefusedError(f"more than {MAX_UPSTREAMS} TOs configured: {len(upstreams)}")
        found.append(_forward(directive, zones[0], upstreams))
    return found


def _target(text: str, transports: frozenset[str]) -> Upstream:
    target = upstream(text)
    if target.transport not in transports:
        raise RefusedError(f"'{target.transport}' is not supported as a destination protocol in forward: {text}")
    return target


def _forward(directive: Directive, zone: str, upstreams: tuple[Upstream, ...]) -> Forward:
    excepted: list[str] = []
    found = read_block(
        directive,
        {
            "except": lambda: excepted.extend(z for text in directive.some() for z in normalized(text)),
            "max_fails": lambda: unsigned(directive.following()),
            "health_check": lambda: _health_check(directive),
            "force_tcp": lambda: _bare(directive),
            "prefer_udp": lambda: _bare(directive),
            "tls": lambda: _at_most(directive, 3),
            "tls_servername": directive.following,
            "expire": lambda: directive.seconds("expire"),
            "max_age": lambda: directive.seconds("max_age"),
            "max_idle_conns": lambda: _count(directive, "max_idle_conns"),
            "policy": lambda: _policy(directive),
            "max_concurrent": lambda: _count(directive, "max_concurrent"),
            "max_connect_attempts": lambda: unsigned(directive.following()),
            "failfast_all_unhealthy_upstreams": lambda: _bare(directive),
            "next": lambda: _rcodes(directive),
            "failover": lambda: _rcodes(directive),
        },
    )
    return Forward(
        zone,
        upstreams,
        excepted=tuple(excepted),
        force_tcp="force_tcp" in found,
        prefer_udp="prefer_udp" in found,
        max_concurrent=cast(int, found.get("max_concurrent", 0)),
        policy=cast(Policy, found.get("policy", "random")),
        max_fails=cast(int, found.get("max_fails", 2)),
        expire_s=cast(float, found.get("expire", 10.0)),
        health_check_s=cast(float, found.get("health_check", 0.5)),
        next_on=cast(tuple[str, ...], found.get("next", ())),
        failover_on=cast(tuple[str, ...], found.get("failover", ())),
    )


def _bare(directive: Directive) -> bool:
    if directive.argument():
        raise directive.argument_error()
    return True


def _at_most(directive: Directive, count: int) -> list[str]:
    taken = directive.arguments()
    if len(taken) > count:
        raise directive.argument_error()
    return taken


def _count(directive: Directive, what: str) -> int:
    number = integer(directive.following())
    if number < 0:
        raise RefusedError(f"{what} can't be negative: {number}")
    return number


def _health_check(directive: Directive) -> float:
    seconds = directive.seconds("health_check")
    while directive.argument():
        option = directive.value
        if option == "domain":
            domain = directive.following()
            if not is_domain(domain):
                raise RefusedError(f"health_check: invalid domain name {domain}")
        elif option != "no_rec":
            raise RefusedError(f"health_check: unknown option {option}")
    return seconds


def _policy(directive: Directive) -> Policy:
    policy = directive.following()
    if policy not in ("random", "round_robin", "sequential"):
        raise directive.error(f"unknown policy '{policy}'")
    return cast(Policy, policy)


def _rcodes(directive: Directive) -> tuple[str, ...]:
    codes = tuple(code.upper() for code in directive.some())
    for code in codes:
        if code not in RCODES:
            raise directive.error(f"{code} is not a valid rcode")
    return codes


# ------------------------------------------------------------------------------------------------ autopath, others


def setup_autopath(directive: Directive) -> Autopath:
    """Read ``autopath [ZONES...] RESOLV-CONF|@PLUGIN``."""
    found: Autopath | None = None
    while directive.advance():
        arguments = directive.arguments()
        if not arguments:
            raise RefusedError("no resolv-conf specified")
        source = arguments.pop()
        if not source.startswith("@") and not looks_like_file(source):
            raise RefusedError(f'failed to parse "{source}": no such file')
        if source.startswith("@") and source[1:] not in ("kubernetes", "erratic"):
            raise RefusedError(f"{source[1:]} does not implement the AutoPather interface")
        found = Autopath(directive.zones(arguments), source)
    assert found is not None
    return found


def setup_loadbalance(directive: Directive) -> Loadbalance:
    """Read ``loadbalance [round_robin | weighted FILE] { ... }``."""
    policy: Literal["round_robin", "weighted"] = "round_robin"
    while directive.advance():
        arguments = directive.arguments()
        match arguments:
            case [] | ["round_robin"]:
                policy = "round_robin"
                read_block(directive, {"prefer": lambda: _subnets(directive)})
            case ["round_robin", *_]:
                raise directive.error("unknown property for round_robin")
            case ["weighted"]:
                raise directive.error("missing weight file argument")
            case ["weighted", _]:
                policy = "weighted"
                read_block(directive, {"reload": lambda: _reload(directive)})
            case ["weighted", *_]:
                raise directive.error("unexpected argument(s)")
            case _:
                raise RefusedError(f"unknown policy: {arguments[0]}")
    return Loadbalance(policy)


def _subnets(directive: Directive) -> list[str]:
    subnets = directive.arguments()
    for subnet in subnets:
        if parse_network(subnet) is None:
            raise directive.error(f'invalid CIDR "{subnet}"')
    return subnets


def _reload(directive: Directive) -> float:
    taken = directive.arguments()
    if not taken:
        raise directive.error("reload duration value is missing")
    if len(taken) > 1:
        raise directive.error("unexpected argument")
    try:
        return duration(taken[0])
    except RefusedError:
        raise directive.error(f"invalid reload duration '{taken[0]}'") from None


def setup_dns64(directive: Directive) -> Dns64:
    """Read ``dns64 [PREFIX] { prefix, translate_all, allow_ipv4 }``."""
    prefix, flags = "64:ff9b::/96", dict.fromkeys(("translate_all", "allow_ipv4"), False)
    while directive.advance():
        arguments = directive.arguments()
        if len(arguments) > 1:
            raise directive.argument_error()
        if arguments:
            prefix = _prefix(directive, arguments[0])
        while directive.block():
            if directive.value == "prefix":
                prefix = _prefix(directive, directive.following())
            elif directive.value in flags:
                flags[directive.value] = True
            else:
                raise directive.unknown_property()
    return Dns64(prefix, **flags)


def _prefix(directive: Directive, text: str) -> str:
    network = parse_network(text)
    if network is None:
        raise RefusedError(f"invalid CIDR address: {text}")
    if network.version != 6:
        raise directive.error(f'invalid netmask 32 IPv6 address: "{text}"')
    if network.prefixlen % 8 or not 32 <= network.prefixlen <= 96:
        raise directive.error(f'invalid prefix length "{text}"')
    return str(network)
