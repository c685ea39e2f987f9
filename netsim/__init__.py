"""netsim: a discrete-event performance model of Kubernetes cluster networking.

The names below are the public interface; everything is loaded on first use, so ``import netsim`` stays light.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from netsim.version import VERSION

if TYPE_CHECKING:
    from netsim import inspect
    from netsim.api import load, load_cluster, run, sweep
    from netsim.cluster.cluster import Cluster
    from netsim.errors import InputError
    from netsim.scenario import Scenario

__version__ = VERSION

_HOMES = {
    "load": "netsim.api",
    "load_cluster": "netsim.api",
    "run": "netsim.api",
    "sweep": "netsim.api",
    "Cluster": "netsim.cluster.cluster",
    "InputError": "netsim.errors",
    "Scenario": "netsim.scenario",
}

__all__ = ["Cluster", "InputError", "Scenario", "__version__", "inspect", "load", "load_cluster", "run", "sweep"]


def __getattr__(name: str) -> Any:
    if name == "inspect":
        return import_module("netsim.inspect")
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module 'netsim' has no attribute {name!r}")
    return getattr(import_module(home), name)
