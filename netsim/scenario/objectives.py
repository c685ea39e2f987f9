"""Service-level objectives: ``p99<5ms``, read."""

from __future__ import annotations

import math
import re

from pydantic import Field

from netsim import units
from netsim.errors import InputError
from netsim.scenario.base import Spec


class Objective(Spec):
    """One service-level objective: ``metric`` ``statistic`` compared with ``limit`` (SI units, or a share)."""

    metric: str
    statistic: str
    upper: bool = Field(description="True when smaller is better (<)")
    limit: float
    text: str


_OBJECTIVE = re.compile(r"^\s*(?:([a-z_]+)\.)?([a-z_]+|p\d+(?:\.\d+)?)\s*(<=|>=|<|>)\s*(\S.*?)\s*$")
_TIMES = ("latency", "connect", "dns", "request")
_SHARES = ("loss", "failed", "utilization")
_RATES = ("throughput", "goodput")
_FAULTS = ("recovery", "convergence")
_EXAMPLES = "p99<5ms, dns.p99<20ms, loss<0.1%, goodput>1Gbit/s"


def parse_objective(text: str) -> Objective:
    """Read ``p99<5ms``, ``dns.p99<20ms``, ``loss<0.1%``, ``throughput>1Gbit/s``, ``recovery<2s``.

    Raises ``ValueError``.
    """
    match = _OBJECTIVE.match(text)
    if match is None:
        raise ValueError(f"not an objective: {text!r}|{_EXAMPLES}")
    metric, statistic, relation, limit = match.groups()
    if metric is None and statistic in (*_SHARES, *_RATES):
        metric, statistic = statistic, "mean"
    if metric is None and statistic in _FAULTS:
        metric, statistic = statistic, "max"
    metric = metric or "latency"
    known = (*_TIMES, *_SHARES, *_RATES, *_FAULTS)
    if metric not in known:
        raise ValueError(f"no objective can be about {metric!r}|{', '.join(known)}")
    if not _is_statistic(metric, statistic):
        allowed = "max" if metric in _FAULTS else "mean, max or a quantile such as p99"
        raise ValueError(f"{metric} has no statistic {statistic!r}|{allowed}")
    try:
        value = _limit(metric, limit)
    except InputError as error:
        raise ValueError(f"not an objective: {text!r}: {error.message}|{_EXAMPLES}") from error
    return Objective(metric=metric, statistic=statistic, upper=relation.startswith("<"), limit=value, text=text)


def _is_statistic(metric: str, name: str) -> bool:
    if metric in _FAULTS:
        return name == "max"
    if name == "mean":
        return True
    quantile = name.startswith("p") and 0.0 < float(name[1:] if name[1:2].isdigit() else 0) < 100.0
    return metric in _TIMES and (name == "max" or quantile)


def _limit(metric: str, text: str) -> float:
    """Read what a metric is compared with. Raises `InputError`."""
    if metric in (*_TIMES, *_FAULTS):
        return units.seconds(text)
    if metric in _RATES:
        return units.bits_per_second(text) if "b" in text else units.per_second(text)
    try:
        share = float(text.removesuffix("%")) / (100.0 if text.endswith("%") else 1.0)
    except ValueError:
        share = math.nan
    if not 0.0 <= share <= 1.0:
        raise InputError("not a share", got=text, allowed="0.1% or 0.001")
    return share
