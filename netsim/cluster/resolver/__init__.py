"""Stub resolvers of pods: configuration, candidates, and the query by query behaviour of glibc, musl and Go."""

from __future__ import annotations

from collections.abc import Mapping

from netsim.cluster.resolver.config import HostResolv, ResolverConfig, pod_hosts, resolv_conf
from netsim.cluster.resolver.glibc import GlibcLookup
from netsim.cluster.resolver.golang import GoLookup
from netsim.cluster.resolver.machine import ADDRESS_TYPES, Done, Lookup, Query, ResolverKind, Send
from netsim.cluster.resolver.musl import MuslLookup
from netsim.cluster.resolver.walk import Exchange, Walk, walk
from netsim.errors import InputError, Place

__all__ = [
    "ADDRESS_TYPES",
    "RESOLVERS",
    "Done",
    "Exchange",
    "HostResolv",
    "Lookup",
    "Query",
    "ResolverConfig",
    "ResolverKind",
    "Send",
    "Walk",
    "new_lookup",
    "pod_hosts",
    "resolv_conf",
    "walk",
]

RESOLVERS: Mapping[str, type[Lookup]] = {"glibc": GlibcLookup, "musl": MuslLookup, "go": GoLookup}
"""Resolvers by the name users give."""


def new_lookup(
    resolver: str, config: ResolverConfig, name: str, types: tuple[str, ...] = ADDRESS_TYPES, offset: int = 0
) -> Lookup:
    """Start a lookup.

    Parameters
    ----------
    resolver: ``glibc``, ``musl`` or ``go``.
    config: resolv.conf and hosts file of the pod.
    name, types: what is looked up.
    offset: server to start at under ``options rotate``.

    Raises
    ------
    InputError: for another resolver.
    """
    kind = RESOLVERS.get(resolver)
    if kind is None:
        raise InputError("unknown resolver", place=Place(field="resolver"), got=resolver, allowed=", ".join(RESOLVERS))
    return kind(config, name, types, offset)
