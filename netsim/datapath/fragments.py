"""Datagrams above the MTU: where IP cuts them, where fragments become one packet again.

A socket's own IP layer cuts what its device does not take (ip_output.c, ``ip_append_data``; behind the hooks where
there are any). A node that tracks connections puts fragments together in front of its hooks (nf_defrag, priority -400
at PREROUTING) and cuts the packet anew behind them (``ip_do_fragment``); the receiver's IP layer puts together what
comes. Before Linux 4.14 virtual devices took datagrams whole (UDP fragmentation offload, removed by 880388aa3c07), to
be cut in front of a card's driver: hardly a card could.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Literal

from netsim.cluster.objects import Machine
from netsim.datapath.conntrack import Conntrack
from netsim.datapath.netfilter import Hook, Netfilter
from netsim.datapath.types import Hop

Datagrams = Literal["", "whole", "cut"]
"""How a datagram above the MTU comes along: none does (no UDP), in one piece, in fragments."""


def datagrams(protocol: str, machine: Machine, *, to_card: bool = False) -> Datagrams:
    """Return how datagrams of a protocol cross a machine's virtual devices; a socket right above its card cuts them."""
    if protocol != "UDP":
        return ""
    return "whole" if machine.before(4, 14) and not to_card else "cut"


def tracked(hops: Iterable[Hop]) -> Iterator[Hop]:
    """Yield hops of a way through a node, where its hooks see datagrams and not fragments if it tracks connections."""
    laid = tuple(hops)
    joins = any(isinstance(hop, Conntrack) for hop in laid)
    for hop in laid:
        if joins and isinstance(hop, Hook) and hop.name in _AT_HOOKS:
            yield replace(hop, fragments=_AT_HOOKS[hop.name])
        else:
            yield hop


def cut_behind_hooks(steps: Sequence[object]) -> bool:
    """Tell whether a sender's way begins with tracked hooks of its own namespace, so that IP cuts behind them."""
    own = bool(steps) and isinstance(steps[0], Netfilter) and steps[0].hop == "output"
    last = any(isinstance(step, Netfilter) and step.hop == "postrouting" for step in steps)
    return own and last and any(isinstance(step, Conntrack) for step in steps)


_AT_HOOKS: Mapping[str, Literal["joined", "cut"]] = {"netfilter.prerouting": "joined", "netfilter.postrouting": "cut"}
