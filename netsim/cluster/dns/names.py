"""The parts of a name under a cluster zone (plugin/kubernetes/parse.go)."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ServiceName:
    """What the labels in front of the zone ask for; parts that the name does not have are empty.

    ``kind`` is ``svc`` or ``pod``; ``service`` of a pod name is the label that spells its address; ``topology`` is the
    zone of ``ZONE.pin._zone.service...`` names, ``prefer`` whether other zones serve where it has no endpoint.
    """

    kind: str = ""
    namespace: str = ""
    service: str = ""
    endpoint: str = ""
    cluster: str = ""
    port: str = ""
    protocol: str = ""
    topology: str = ""
    prefer: bool = False


def parse_service_name(labels: list[str], *, multicluster: bool, zonal: bool) -> ServiceName | None:
    """Split the labels of a name (lower case, leftmost first); ``None`` for a form no name can have."""
    if not labels:
        return ServiceName()
    kind = labels[-1]
    if kind not in ("svc", "pod"):
        return None
    namespace = labels[-2] if len(labels) > 1 else ""
    service = labels[-3] if len(labels) > 2 else ""
    match labels[:-3]:
        case []:
            return ServiceName(kind, namespace, service)
        case [endpoint]:
            return ServiceName(kind, namespace, service, endpoint=endpoint)
        case [first, second] if not multicluster or first.startswith("_") or second.startswith("_"):
            return ServiceName(kind, namespace, service, port=_bare(first), protocol=_bare(second))
        case [endpoint, cluster]:
            return ServiceName(kind, namespace, service, endpoint=endpoint, cluster=cluster)
        case [topology, ("pin" | "prefer") as mode, "_zone"] if zonal and kind == "svc":
            return ServiceName(kind, namespace, service, topology=topology, prefer=mode == "prefer")
        case _:
            return None


def _bare(label: str) -> str:
    return label.removeprefix("_")
