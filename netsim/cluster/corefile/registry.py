"""Which plugins there are, in CoreDNS's build order (plugin.cfg of 1.12 and later), and what sets each up."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from netsim.cluster.corefile.directive import Directive
from netsim.cluster.corefile.inert import INERT
from netsim.cluster.corefile.relays import (
    setup_autopath,
    setup_cache,
    setup_dns64,
    setup_forward,
    setup_grpc,
    setup_loadbalance,
)
from netsim.cluster.corefile.rewriting import setup_rewrite
from netsim.cluster.corefile.sources import (
    setup_external,
    setup_hosts,
    setup_kubernetes,
    setup_template,
    setup_whoami,
)
from netsim.cluster.corefile.specs import Plugin
from netsim.cluster.corefile.values import RefusedError
from netsim.cluster.names import canonical_address
from netsim.errors import InputError

ORDER = (
    "root", "metadata", "geoip", "cancel", "tls", "proxyproto", "quic", "grpc_server", "https", "https3", "timeouts",
    "multisocket", "reload", "nsid", "bufsize", "bind", "debug", "trace", "ready", "health", "pprof", "prometheus",
    "errors", "log", "dnstap", "local", "dns64", "acl", "any", "chaos", "loadbalance", "tsig", "cache", "rewrite",
    "header", "dnssec", "autopath", "minimal", "template", "transfer", "hosts", "route53", "azure", "clouddns",
    "k8s_external", "kubernetes", "file", "auto", "secondary", "etcd", "loop", "forward", "grpc", "erratic", "whoami",
    "on", "sign", "view", "nomad",
)  # fmt: skip
"""Every directive, in the order CoreDNS sets them up and runs them; other names are unknown directives."""

Setup = Callable[[Directive], Plugin | tuple[Plugin, ...]]
SETUPS: Mapping[str, Setup] = {
    "dns64": setup_dns64,
    "loadbalance": setup_loadbalance,
    "cache": setup_cache,
    "rewrite": setup_rewrite,
    "autopath": setup_autopath,
    "template": setup_template,
    "hosts": setup_hosts,
    "k8s_external": setup_external,
    "kubernetes": setup_kubernetes,
    "forward": setup_forward,
    "grpc": setup_grpc,
    "whoami": setup_whoami,
}
CHAIN = tuple(name for name in ORDER if name in SETUPS)
"""Plugins with an effect, in the order a query meets them."""


def set_up(directive: Directive) -> tuple[tuple[Plugin, ...], tuple[str, ...]]:
    """Return the plugins a directive makes and the addresses it binds.

    Raises
    ------
    InputError: with the plugin's name, the line and CoreDNS's reason.
    """
    try:
        if directive.name == "bind":
            return (), _bind(directive)
        setup = SETUPS.get(directive.name)
        if setup is None:
            INERT[directive.name](directive)
            return (), ()
        made = setup(directive)
    except (RefusedError, InputError) as reason:
        raise directive.placed(reason) from None
    return (made if isinstance(made, tuple) else (made,)), ()


def _bind(directive: Directive) -> tuple[str, ...]:
    """Read ``bind ADDRESS|INTERFACE... { except ... }``."""
    found: list[str] = []
    while directive.advance():
        hosts = directive.arguments()
        if not hosts:
            raise RefusedError("at least one address or interface name is expected")
        while directive.block():
            if directive.value != "except":
                raise directive.unknown_property()
            directive.some()
        for host in hosts:
            address = canonical_address(host.partition("%")[0])
            if not address and not re.fullmatch(r"[A-Za-z][\w.@-]{0,14}", host):
                raise RefusedError(f'not a valid IP address or interface name: "{host}"')
            found.append(address or host)
    return tuple(found)
