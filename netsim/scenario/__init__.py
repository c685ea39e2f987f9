"""Specs only: frozen models of a question, YAML loading, overrides and the JSON Schema."""

from netsim.scenario.loading import build, load, override, parse_assignments, schema, with_values
from netsim.scenario.objectives import Objective, parse_objective
from netsim.scenario.spec import Scenario

__all__ = [
    "Objective",
    "Scenario",
    "build",
    "load",
    "override",
    "parse_assignments",
    "parse_objective",
    "schema",
    "with_values",
]
