"""How ends are written: ``namespace/pod``, ``namespace/service:port``, ``node/NAME``, ``external``, or an address."""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import ip_address

from netsim.cluster.cluster import Cluster
from netsim.datapath.parties import ExternalParty, HostParty, Party
from netsim.errors import InputError, Place

ALLOWED = "namespace/pod, namespace/pod:port, namespace/service:port, node/NAME, node/NAME:port, external, ADDRESS:port"
_BRACKETED = re.compile(r"\[([^\]]*)\](?::(.*))?")


@dataclass(frozen=True, slots=True)
class Named:
    """What a name means: a party, a Service, or an ``address`` of neither pod nor node.

    ``port`` is 0 where none was given.
    """

    text: str
    party: Party | None = None
    service: str = ""
    port: int = 0
    address: str = ""


def resolve(cluster: Cluster, text: str, field: str) -> Named:
    """Return what a name means. A workload's name stands for its first pod.

    Parameters
    ----------
    cluster: where to look.
    text: the name as the user wrote it.
    field: ``from`` or ``to``, for the message.

    Raises
    ------
    InputError
        When nothing has this name.
    """
    name, port = _split_port(text, field)
    if name == "external":
        return Named(text, ExternalParty(), port=port)
    address = _address(name)
    if address:
        return _at_address(cluster, text, address, port)
    namespace, slash, rest = name.partition("/")
    if not slash or not namespace or not rest:
        raise InputError("not the name of an end", place=Place(field=field), got=text, allowed=ALLOWED)
    if namespace == "node":
        index = cluster.node_index.get(rest)
        if index is None:
            known = list(cluster.node_index)
            raise InputError("no such node", place=Place(field=field), got=rest, allowed=_some(known))
        return Named(text, HostParty(index), port=port)
    if name in cluster.services_by_key and port:
        return Named(text, service=name, port=port)
    pod = _pod_index(cluster, name)
    if pod is not None:
        return Named(text, pod, port=port)
    if name in cluster.services_by_key:
        return Named(text, service=name)
    names = [*cluster.pods_by_key, *cluster.services_by_key]
    near = [key for key in names if key.startswith(f"{namespace}/")]
    raise InputError("no such pod or Service", place=Place(field=field), got=text, allowed=_some(near or names))


def _address(text: str) -> str:
    """Return an address in canonical form, empty for other text."""
    try:
        return str(ip_address(text))
    except ValueError:
        return ""


def _at_address(cluster: Cluster, text: str, address: str, port: int) -> Named:
    """Return the pod or node that has an address; others are Services' or outside."""
    pod = cluster.pods_by_address.get(address)
    if pod is not None:
        return Named(text, _pod_index(cluster, pod.key), port=port)
    for index, node in enumerate(cluster.nodes):
        if address in node.addresses:
            return Named(text, HostParty(index), port=port)
    return Named(text, ExternalParty(), port=port, address=address)


def _split_port(text: str, field: str) -> tuple[str, int]:
    text = text.strip()
    bracketed = _BRACKETED.fullmatch(text)
    name, colon, number = text.rpartition(":")
    if bracketed is not None:
        name, colon, number = bracketed[1], ":" if bracketed[2] is not None else "", bracketed[2] or ""
    elif _address(text):  # an IPv6 address without a port
        colon = ""
    if not colon:
        return name if bracketed is not None else text, 0
    if not number.isdecimal() or not 0 < int(number) < 65536:
        raise InputError("not a port", place=Place(field=field), got=number, allowed="1 to 65535")
    return name, int(number)


def _pod_index(cluster: Cluster, key: str) -> int | None:
    owned = None
    for index, pod in enumerate(cluster.pods):
        if pod.key == key:
            return index
        if owned is None and f"{pod.namespace}/{pod.template.owner}" == key:
            owned = index
    return owned


def _some(names: list[str]) -> str:
    """Return a few names for a message."""
    shown = ", ".join(names[:8])
    return f"{shown} and {len(names) - 8} more" if len(names) > 8 else shown or "none"
