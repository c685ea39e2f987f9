"""Policy enforcement as a cost: what packets walk, what nodes hold, how a denied packet ends.

An engine is data: ``read_engine("cilium")`` or ``read_engine({"engine": "cilium", "map_limit": 65536})``. A new engine
is one file with a frozen class that has `PolicyEngine`'s members, and its entry in ``ENGINES``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields

from pydantic import TypeAdapter, ValidationError

from netsim.datapath.policy.antrea import Antrea
from netsim.datapath.policy.calico import CalicoEbpf, CalicoIptables
from netsim.datapath.policy.cilium import Cilium
from netsim.datapath.policy.engine import (
    Denial,
    PolicyEngine,
    PolicySize,
    PolicyWalk,
    Stage,
    connection_verdict,
    largest_node,
    policy_notes,
)
from netsim.datapath.policy.facts import PolicyFacts
from netsim.datapath.policy.kuberouter import KubeRouter
from netsim.datapath.policy.none import NoEngine
from netsim.datapath.policy.weave import Weave
from netsim.errors import InputError, Place

__all__ = [
    "ENGINES",
    "Antrea",
    "AnyEngine",
    "CalicoEbpf",
    "CalicoIptables",
    "Cilium",
    "Denial",
    "KubeRouter",
    "NoEngine",
    "PolicyEngine",
    "PolicyFacts",
    "PolicySize",
    "PolicyWalk",
    "Stage",
    "Weave",
    "connection_verdict",
    "largest_node",
    "policy_notes",
    "read_engine",
]


AnyEngine = NoEngine | CalicoIptables | CalicoEbpf | Cilium | Antrea | KubeRouter | Weave

ENGINES: Mapping[str, AnyEngine] = {
    engine.name: engine
    for engine in (NoEngine(), CalicoIptables(), CalicoEbpf(), Cilium(), Antrea(), KubeRouter(), Weave())
}
"""Every engine with its default settings, by name."""


def read_engine(spec: str | Mapping[str, object], place: Place | None = None) -> PolicyEngine:
    """Return an engine by name, or from ``{"engine": name, setting: value}``. Raises `InputError`."""
    settings = {"engine": spec} if isinstance(spec, str) else dict(spec)
    name = settings.pop("engine", None)
    if not isinstance(name, str) or name not in ENGINES:
        raise InputError("no such policy engine", place=place, got=name, allowed=", ".join(ENGINES))
    known = {item.name for item in fields(ENGINES[name])}
    for key in settings:
        if key not in known:
            raise InputError(f"{name} has no such setting", place=place, got=key, allowed=", ".join(sorted(known)))
    try:
        engine: PolicyEngine = TypeAdapter(type(ENGINES[name])).validate_python(settings)
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"])
        raise InputError(f"{field}: {first['msg']}", place=place, got=first["input"]) from None
    return engine
