"""CoreDNS configuration: read, checked and refused as CoreDNS does (1.11 to 1.14)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import lru_cache
from types import MappingProxyType

from netsim.cluster.corefile.blocks import Block, read_blocks, refuse_empty
from netsim.cluster.corefile.directive import Directive
from netsim.cluster.corefile.inert import ANSWERING
from netsim.cluster.corefile.registry import CHAIN, ORDER, set_up
from netsim.cluster.corefile.specs import (
    Autopath,
    Cache,
    CacheClass,
    Corefile,
    Dns64,
    External,
    Forward,
    Hosts,
    Kubernetes,
    Loadbalance,
    Plugin,
    Rewrite,
    ServerBlock,
    Templates,
    Whoami,
)
from netsim.cluster.corefile.values import RefusedError, Upstream, ZoneAddress, zone_addresses
from netsim.errors import InputError

__all__ = [
    "Autopath",
    "Cache",
    "CacheClass",
    "Corefile",
    "Dns64",
    "External",
    "Forward",
    "Hosts",
    "Kubernetes",
    "Loadbalance",
    "Plugin",
    "Rewrite",
    "ServerBlock",
    "Templates",
    "Upstream",
    "Whoami",
    "ZoneAddress",
    "default_corefile",
    "parse_corefile",
]

_KNOWN = frozenset(ORDER)
_NOTHING: Mapping[str, str] = MappingProxyType({})


def default_corefile(domain: str = "cluster.local") -> str:
    """Return the Corefile a kubeadm cluster has (kubernetes cmd/kubeadm/app/phases/addons/dns): ttl and cache 30 s."""
    return f""".:53 {{
    errors
    health {{
        lameduck 5s
    }}
    ready
    kubernetes {domain} in-addr.arpa ip6.arpa {{
        pods insecure
        fallthrough in-addr.arpa ip6.arpa
        ttl 30
    }}
    prometheus :9153
    forward . /etc/resolv.conf {{
        max_concurrent 1000
    }}
    cache 30
    loop
    reload
    loadbalance
}}
"""


def parse_corefile(
    text: str, file: str = "Corefile", *, files: Mapping[str, str] = _NOTHING, env: Mapping[str, str] = _NOTHING
) -> Corefile:
    """Read a CoreDNS configuration.

    Parameters
    ----------
    text: the configuration.
    file: its name in errors.
    files: what ``import`` finds, by path relative to the Corefile (a mounted ConfigMap: ``custom/shop.server``).
    env: environment variables of the server for ``{$NAME}``.

    Raises
    ------
    InputError: where CoreDNS would refuse to start, with the line and a reason in CoreDNS's words.
    """
    return _parse(text, file, tuple(files.items()), tuple(env.items()))


@lru_cache(maxsize=64)
def _parse(text: str, file: str, files: tuple[tuple[str, str], ...], env: tuple[tuple[str, str], ...]) -> Corefile:
    blocks, warnings = read_blocks(text, file, _KNOWN, dict(files), dict(env))
    refuse_empty(blocks, file)
    addresses = [_addresses(block) for block in blocks]
    plugins: list[dict[str, tuple[Plugin, ...]]] = [{} for _ in blocks]
    binds: list[tuple[str, ...]] = [()] * len(blocks)
    for name in ORDER:  # CoreDNS sets up directive by directive, so this order decides which of two errors shows
        for index, block in enumerate(blocks):
            if name in block.directives:
                own = tuple(address.zone for address in addresses[index])
                made, bound = set_up(Directive(name, block.directives[name], file, own))
                plugins[index][name] = made
                binds[index] = bound or binds[index]
    servers = tuple(_server(*parts) for parts in zip(blocks, addresses, plugins, binds, strict=True))
    _refuse_overlap(servers)
    return Corefile(servers, tuple(warnings), text)


def _addresses(block: Block) -> tuple[ZoneAddress, ...]:
    try:
        return tuple(address for key in block.keys for address in zone_addresses(key))
    except RefusedError as reason:
        raise InputError(str(reason), place=block.place) from None


def _server(
    block: Block, addresses: tuple[ZoneAddress, ...], made: Mapping[str, tuple[Plugin, ...]], bind: tuple[str, ...]
) -> ServerBlock:
    chain = tuple(plugin for name in CHAIN for plugin in made.get(name, ()))
    inert = tuple(name for name in ORDER if name in block.directives and not made.get(name) and name != "bind")
    return ServerBlock(addresses, chain, bind, inert, _answering(inert), block.place)


def _answering(names: Iterable[str]) -> tuple[str, ...]:
    return tuple(name for name in names if name in ANSWERING)


def _refuse_overlap(servers: tuple[ServerBlock, ...]) -> None:
    """Refuse two blocks that serve the same zone on the same listener (core/dnsserver/address.go: registerAndCheck)."""
    taken: set[tuple[str, str]] = set()
    bound: dict[str, str] = {}
    for server in servers:
        if "view" in server.without_effect:
            continue
        for address in server.addresses:
            for host in server.bind or ("",):
                zone = str(address).lower()
                shown = f"{address} on {host}" if host else str(address)
                if (zone, host) in taken:
                    raise InputError(f"cannot serve {shown} - it is already defined", place=server.place)
                if zone in bound and (not host or (zone, "") in taken):
                    raise InputError(
                        f"cannot serve {shown} - zone overlap listener capacity with {bound[zone]}", place=server.place
                    )
                taken.add((zone, host))
                bound[zone] = shown
