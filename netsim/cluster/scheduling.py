"""What pods and nodes say about each other: taints, tolerations, required node affinity."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

NodeOperator = Literal["In", "NotIn", "Exists", "DoesNotExist", "Gt", "Lt"]


@dataclass(frozen=True, slots=True)
class Taint:
    """A node's taint; ``effect`` as in Kubernetes."""

    key: str
    value: str = ""
    effect: str = "NoSchedule"


@dataclass(frozen=True, slots=True)
class Toleration:
    """A pod's toleration; empty ``key`` with ``Exists`` tolerates everything, empty ``effect`` every effect."""

    key: str = ""
    operator: str = "Equal"
    value: str = ""
    effect: str = ""


@dataclass(frozen=True, slots=True)
class NodeRequirement:
    """What a node's label, or field, must be like: one ``matchExpressions`` or ``matchFields`` entry."""

    key: str
    operator: NodeOperator
    values: tuple[str, ...] = ()

    def met_by(self, labels: Mapping[str, str]) -> bool:
        """Tell whether labels meet it (apimachinery pkg/labels, ``Requirement.Matches``)."""
        own = labels.get(self.key)
        match self.operator:
            case "In":
                return own in self.values
            case "NotIn":
                return own not in self.values
            case "Exists":
                return own is not None
            case "DoesNotExist":
                return own is None
            case "Gt" | "Lt":
                return self._compared(own)

    def _compared(self, own: str | None) -> bool:
        try:
            label, bound = int(own or ""), int(self.values[0])
        except (ValueError, IndexError):
            return False
        return label > bound if self.operator == "Gt" else label < bound


@dataclass(frozen=True, slots=True)
class NodeTerm:
    """One of ``nodeSelectorTerms``: all its requirements hold; one without any matches no node."""

    labels: tuple[NodeRequirement, ...] = ()
    fields: tuple[NodeRequirement, ...] = ()

    def matches(self, name: str, labels: Mapping[str, str]) -> bool:
        """Tell whether a node of that name and these labels is chosen (component-helpers nodeaffinity)."""
        own = {"metadata.name": name}
        return bool(self.labels or self.fields) and (
            all(each.met_by(labels) for each in self.labels) and all(each.met_by(own) for each in self.fields)
        )


def tolerates(tolerations: Iterable[Toleration], taint: Taint) -> bool:
    """Tell whether one of the tolerations tolerates the taint (core/v1 ``Toleration.ToleratesTaint``)."""
    return any(
        (not toleration.effect or toleration.effect == taint.effect)
        and (not toleration.key or toleration.key == taint.key)
        and (toleration.operator == "Exists" or toleration.value == taint.value)
        for toleration in tolerations
    )
