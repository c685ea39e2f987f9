"""From replications to figures: one row a scope, name, metric and statistic, with its interval."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from netsim.stats.estimates import Estimate, exact_mean, from_replications
from netsim.stats.intervals import batch_means
from netsim.stats.quantiles import (
    Samples,
    TooFewSamples,
    demand,
    error_within,
    parse_quantile,
    quantile_name,
    sectioned_quantile,
    sorted_quantile,
)
from netsim.stats.tails import Stall
from netsim.study.outcome import TIMES, HopTime, Measured
from netsim.study.selection import selections
from netsim.study.stalls import Stalls

SCOPES = ("scenario", "edge", "service", "node", "station", "hop", "fault")
METRICS = (
    "latency", "connect", "dns", "request", "throughput", "throughput_per_pod", "goodput", "goodput_per_pod",
    "fairness", "loss", "loss_at", "failed", "utilization", "queue", "hop_time", "rules", "conntrack", "recovery",
    "convergence",
)  # fmt: skip

SECTIONS = 10
"""Stretches of one run whose spread gives the error *within* a replication."""
SECTION_TAIL = 2
"""Samples beyond a quantile, for each stretch in the mean, below which a run says nothing about its error."""


Refusals = dict[float, list[str]]
"""Figures whose samples do not carry a quantile, with how many there are, by quantile."""


class Key(NamedTuple):
    """What a figure is of."""

    scope: str
    name: str
    metric: str
    stat: str
    unit: str


class Figure(NamedTuple):
    """A figure of one point over all its replications.

    ``values`` are the replications' own values, in order of the replications in ``replications``; ``errors`` the
    standard errors within each (NaN: unknown), with `SECTIONS` - 1 degrees of freedom.
    """

    key: Key
    estimate: Estimate
    replications: tuple[int, ...]
    values: tuple[float, ...]
    errors: tuple[float, ...]
    samples: tuple[int, ...]


class PointFigures(NamedTuple):
    """All figures of a point, in table order, and the quantiles that were refused."""

    figures: tuple[Figure, ...]
    notes: tuple[str, ...]


class _Value(NamedTuple):
    """One replication's contribution to a figure."""

    replication: int
    value: float
    se: float
    n_samples: int


def summarise(runs: Mapping[int, Measured], quantiles: Sequence[float]) -> PointFigures:
    """Return the figures of one point from its replications (number to measurements).

    Means are averaged over replications, with a t interval; quantiles are those of all samples together, with a
    sectioning interval; a maximum is the largest of all and carries no interval. With a single replication the interval
    comes from stretches of that run.
    """
    refusals: Refusals = {}
    stalls = Stalls(runs)
    figures = [*_sampled_figures(runs, quantiles, refusals, stalls), *_scalar_figures(runs)]
    places = {edge.name: i for run in runs.values() for i, edge in enumerate(run.edges)}
    figures.sort(key=lambda figure: _table_order(figure.key, places))
    return PointFigures(tuple(figures), (*(_told(places) for places in refusals.values()), *stalls.notes))


def _told(refused: Sequence[str]) -> str:
    """Say once, with the first figure it happened to, that the samples do not carry a quantile."""
    more = f", nor do {len(refused) - 1} more figures have enough" if len(refused) > 1 else ""
    return f"{refused[0]}{more}"


# ------------------------------------------------------------------------------------------------ sampled metrics


def _sampled_figures(
    runs: Mapping[int, Measured], quantiles: Sequence[float], refusals: Refusals, stalls: Stalls
) -> Iterator[Figure]:
    edges = next(iter(runs.values())).edges if runs else ()
    seen = {replication: frozenset(np.unique(run.edge).tolist()) for replication, run in runs.items()}
    for selection in selections(edges):
        masks = {
            replication: selection.mask(run.edge)
            for replication, run in runs.items()
            if not seen[replication].isdisjoint(selection.edges)
        }
        for metric in TIMES:
            series = {
                replication: _present(runs[replication].times[metric][mask])
                for replication, mask in masks.items()
                if metric in runs[replication].times
            }
            series = {replication: samples for replication, samples in series.items() if len(samples)}
            if series:
                key = Key(selection.scope, selection.name, metric, "", "s")
                yield from _time_figures(key, series, quantiles, refusals, stalls.of(selection, metric, series))


def _present(values: Samples) -> Samples:
    return values[~np.isnan(values)]


def _time_figures(
    key: Key, series: Mapping[int, Samples], quantiles: Sequence[float], refusals: Refusals, stall: Stall
) -> Iterator[Figure]:
    """Yield mean, quantiles and maximum; a rare stall is computed into the former two."""
    rare = stall.probability > 0.0
    plain = {replication: stall.without(samples) if rare else samples for replication, samples in series.items()}
    means = [_mean_of(replication, samples, stall) for replication, samples in plain.items()]
    yield _figure(key._replace(stat="mean"), means)
    for q in quantiles:
        name = quantile_name(q)
        own = [_quantile_of(replication, samples, q, stall) for replication, samples in plain.items()]
        figure = _figure(key._replace(stat=name), own)
        yield figure._replace(estimate=_quantile(figure, plain, q, refusals, stall))
    largest = [_Value(r, float(samples.max()), math.nan, len(samples)) for r, samples in series.items()]
    figure = _figure(key._replace(stat="max"), largest)
    top = max(value.value for value in largest)
    yield figure._replace(estimate=figure.estimate._replace(value=top, se=math.nan, df=0))


def _mean_of(replication: int, samples: Samples, stall: Stall) -> _Value:
    se = batch_means(samples, SECTIONS).se
    return _Value(replication, stall.mean(exact_mean(samples.tolist())), se, len(samples))


def _quantile_of(replication: int, samples: Samples, q: float, stall: Stall) -> _Value:
    inner, added = stall.place(q)
    value = sorted_quantile(np.sort(samples), inner) + added
    if len(samples) * (1.0 - max(inner, 1.0 - inner)) < SECTIONS * SECTION_TAIL * (1.0 - 1e-9):
        return _Value(replication, value, math.nan, len(samples))
    return _Value(replication, value, error_within(samples, inner, SECTIONS), len(samples))


def _quantile(
    figure: Figure, series: Mapping[int, Samples], q: float, refusals: Refusals, stall: Stall
) -> Estimate:
    """Return the pooled quantile, or a value of NaN and a note when the samples cannot carry it."""
    (inner, added), key, single = stall.place(q), figure.key, figure.estimate
    try:
        if len(series) > 1:
            pooled = sectioned_quantile(list(series.values()), inner)
            return pooled._replace(value=pooled.value + added)
        demand(inner, single.n_samples)
        return single
    except TooFewSamples as refusal:
        what = " ".join(part for part in (key.scope, key.name, key.metric) if part)
        told = TooFewSamples(q, refusal.got, refusal.needed)
        refusals.setdefault(q, []).append(f"{what}: {told}")
        return Estimate(math.nan, math.nan, 0, single.n_samples, len(series))


# ------------------------------------------------------------------------------------------------ scalar metrics


def _scalar_figures(runs: Mapping[int, Measured]) -> Iterator[Figure]:
    found: dict[Key, list[_Value]] = {}
    for replication, run in runs.items():
        scalars = [(Key(s.scope, s.name, s.metric, s.stat, s.unit), s.value, s.n_samples) for s in run.scalars]
        variation = _rate_variation(run)
        for key, value, n_samples in [*scalars, *_hop_scalars(run)]:
            own = variation.get((key.scope, key.name), math.nan) if key.metric == "throughput" else math.nan
            found.setdefault(key, []).append(_Value(replication, value, own * value, n_samples))
    for key, values in found.items():
        yield _figure(key, values)


def _rate_variation(run: Measured) -> dict[tuple[str, str], float]:
    """Return the relative standard error of the rate of transactions, from their number in equal spans of the run."""
    if not len(run.start_s):
        return {}
    limits = np.linspace(run.start_s[0], run.start_s[-1], SECTIONS + 1)
    found, seen = {}, frozenset(np.unique(run.edge).tolist())
    for selection in selections(run.edges):
        if seen.isdisjoint(selection.edges):
            continue
        counts, _ = np.histogram(run.start_s[selection.mask(run.edge)], limits)
        estimate = from_replications([float(count) for count in counts])
        if estimate.value > 0.0:
            found[selection.scope, selection.name] = estimate.se / estimate.value
    return found


def _hop_scalars(run: Measured) -> Iterator[tuple[Key, float, int]]:
    """Yield work and rules per user transaction of every hop, over all edges, nested calls included."""
    made = np.bincount(run.edge, minlength=len(run.edges)).tolist()
    counts = {edge.name: number * edge.counted for edge, number in zip(run.edges, made, strict=True)}
    users = sum(number for edge, number in zip(run.edges, made, strict=True) if edge.top)
    total = math.fsum(counts[edge.name] for edge in run.edges if edge.top)
    if users == 0:
        return
    by_hop: dict[str, list[HopTime]] = {}
    for row in run.hops:
        by_hop.setdefault(row.hop, []).append(row)
    for hop, rows in by_hop.items():
        seconds = math.fsum(row.seconds * counts[row.edge] for row in rows) / total
        yield Key("hop", hop, "hop_time", "mean", "s"), seconds, users
        if any(row.rules for row in rows):
            rules = math.fsum(row.rules * counts[row.edge] for row in rows) / total
            yield Key("hop", hop, "rules", "mean", "1"), rules, users


def _figure(key: Key, values: Sequence[_Value]) -> Figure:
    """Build a figure from replications; a single one brings the error it saw within itself."""
    estimate = from_replications([v.value for v in values], n_samples=sum(v.n_samples for v in values))
    if len(values) == 1 and not math.isnan(values[0].se):
        estimate = estimate._replace(se=values[0].se, df=SECTIONS - 1)
    return Figure(
        key,
        estimate,
        tuple(v.replication for v in values),
        tuple(v.value for v in values),
        tuple(v.se for v in values),
        tuple(v.n_samples for v in values),
    )


# ------------------------------------------------------------------------------------------------ order


def _table_order(key: Key, places: Mapping[str, int]) -> tuple[object, ...]:
    place = places.get(key.name, 0) if key.scope == "edge" else 0
    return (
        _position(SCOPES, key.scope), key.scope, place, natural(key.name), _position(METRICS, key.metric), key.metric,
        stat_order(key.stat),
    )  # fmt: skip


def _position(known: Sequence[str], name: str) -> int:
    return known.index(name) if name in known else len(known)


def natural(name: str) -> tuple[tuple[int, int, str], ...]:
    """Return a sort key under which ``node-2`` comes before ``node-10``."""
    parts = re.split(r"(\d+)", name)
    return tuple((0, int(part), "") if part.isdigit() else (1, 0, part) for part in parts if part)


def stat_order(stat: str) -> tuple[int, float, str]:
    """Return a sort key: mean, quantiles ascending, max, others by name."""
    if stat == "mean":
        return 0, 0.0, ""
    if stat == "max":
        return 2, 0.0, ""
    try:
        return 1, parse_quantile(stat), ""
    except ValueError:
        return 3, 0.0, stat


def find(figures: Iterable[Figure], scope: str, name: str, metric: str, stat: str) -> Figure | None:
    """Return one figure, or None."""
    wanted = (scope, name, metric, stat)
    return next((figure for figure in figures if figure.key[:4] == wanted), None)
