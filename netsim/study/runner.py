"""One replication of one point, by the engine: scenario in, measurements out."""

from __future__ import annotations

import functools
import json
from dataclasses import dataclass, field

from netsim.cluster.traffic import traffic_of
from netsim.datapath.build import cluster_of, datapath_of, impossible
from netsim.engine.model import Model
from netsim.engine.run import Replication, run_replication
from netsim.scenario.spec import Scenario
from netsim.study.outcome import Edge, Impossible, Measured, Scalar
from netsim.study.settle import Settled, settled


def run_point(scenario: Scenario, *, seed: int, replication: int) -> Measured | Impossible:
    """Run one replication of a scenario without looking at its sweep.

    Raises
    ------
    InputError: the scenario names what does not exist.
    EngineError: the run broke conservation or Little's law.
    """
    prepared = _prepare(_Question(_spelling(scenario), scenario))
    if isinstance(prepared, Impossible):
        return prepared
    run = run_replication(prepared.model, seed=seed, replication=replication)
    return measured(run, scenario, notes=prepared.notes)


def model_of(scenario: Scenario) -> Model | Impossible:
    """Return the engine's model of a scenario, or why it cannot exist. Raises `InputError`."""
    prepared = _prepare(_Question(_spelling(scenario), scenario))
    return prepared if isinstance(prepared, Impossible) else prepared.model


@dataclass(frozen=True, slots=True)
class _Question:
    """A scenario as a key: equal when written alike in the same place."""

    spelling: str
    scenario: Scenario = field(compare=False)


@dataclass(frozen=True, slots=True)
class _Prepared:
    """A model with what a reader must know of its input."""

    model: Model
    notes: tuple[str, ...]


def _spelling(scenario: Scenario) -> str:
    return json.dumps([str(scenario.directory), scenario.document], sort_keys=True, default=str)


@functools.lru_cache(maxsize=1)
def _prepare(question: _Question) -> _Prepared | Impossible:
    """Build the model; the last one is kept, because the replications of a point follow each other."""
    scenario = question.scenario
    reasons = impossible(scenario)
    if reasons:
        return Impossible("; ".join(reason.text for reason in reasons))
    cluster = cluster_of(scenario)
    edges, notes = traffic_of(cluster, scenario)
    model = Model(
        cluster,
        datapath_of(scenario),
        edges,
        dns=None if scenario.dns.lookups == "none" else scenario.dns,
        run=scenario.run,
        conntrack_max=scenario.network.conntrack_max,
    )
    return _Prepared(model, tuple(note.text for note in (*cluster.notes, *notes)))


def measured(run: Replication, scenario: Scenario, *, notes: tuple[str, ...] = ()) -> Measured:
    """Return a replication as the study keeps it: without its warm-up."""
    edges = tuple(Edge(edge.name, edge.service, edge.top) for edge in run.edges)
    stated = scenario.run.warmup
    warmup = settled(edges, run.edge, run.start_s, run.times["latency"]) if stated == "auto" else Settled(stated, ())
    kept = run.start_s >= warmup.since_s
    return Measured(
        edges=edges,
        edge=run.edge[kept],
        start_s=run.start_s[kept],
        times={metric: values[kept] for metric, values in run.times.items()},
        scalars=tuple(Scalar(*scalar) for scalar in run.scalars),
        notes=(*notes, *run.notes, *warmup.notes),
    )
