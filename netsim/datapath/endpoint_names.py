"""How ends are written: ``namespace/pod``, ``namespace/service:port``, ``node/NAME``, ``external``."""

from __future__ import annotations

from dataclasses import dataclass

from netsim.cluster.cluster import Cluster
from netsim.datapath.parties import ExternalParty, HostParty, Party
from netsim.errors import InputError, Place

ALLOWED = "namespace/pod, namespace/pod:port, namespace/service:port, node/NAME, node/NAME:port or external"


@dataclass(frozen=True, slots=True)
class Named:
    """What a name means: a party, or a Service; ``port`` is 0 where none was given."""

    text: str
    party: Party | None = None
    service: str = ""
    port: int = 0


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


def _split_port(text: str, field: str) -> tuple[str, int]:
    name, colon, number = text.strip().rpartition(":")
    if not colon:
        return text.strip(), 0
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
