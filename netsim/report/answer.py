"""The answer in words: what happened to latency and throughput as the cluster grew, what limits it, what cannot exist.

Every sentence is computed from the figures; the same lines end the demo and open the report.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from netsim.report.frame import Frame, write_interval, write_value


@dataclass(frozen=True, slots=True)
class Impossible:
    """A point that cannot exist, with the reason."""

    point: Mapping[str, Any]
    reason: str


def answer(frame: Frame, impossible: Sequence[Impossible] = (), *, lines: int = 5) -> tuple[str, ...]:
    """Return the answer in at most ``lines`` sentences, the most useful first."""
    if frame.figures.empty:
        return tuple(dict.fromkeys(f"Cannot exist: {item.reason}." for item in impossible))[:lines]
    said = [_latency(frame), _growth(frame), _reason(frame), _throughput(frame), _limits(impossible) or _busiest(frame)]
    said.append(_failures(frame))
    return tuple(text for text in said if text)[:lines]


def _quantile(frame: Frame) -> str:
    """Use p99 where the samples carry it, else the highest quantile they do carry."""
    for stat in ("p99", "p90", "p50"):
        rows = frame.select("latency", stat)
        if not rows.empty and rows["value"].notna().all():
            return stat
    return "mean"


def _extremes(
    frame: Frame, position: int, stat: str, metric: str = "latency"
) -> list[tuple[float, str, dict[str, Any]]]:
    found = []
    for label in frame.labels:
        row = frame.at(metric, stat, label, position)
        if row is not None and not math.isnan(row["value"]):
            found.append((float(row["value"]), label, row))
    return sorted(found, key=lambda item: item[0])


def _size(frame: Frame, row: Mapping[str, Any]) -> str:
    if frame.size is None:
        return ""
    name = "nodes" if frame.size == "cluster.nodes" else frame.size
    return f" at {row[frame.size]:,} {name}" if name == "nodes" else f" at {name} = {row[frame.size]}"


def _latency(frame: Frame) -> str:
    stat = _quantile(frame)
    largest = _extremes(frame, -1, stat)
    if not largest:
        return ""
    _, best, best_row = largest[0]
    text = f"{stat} latency{_size(frame, best_row)}: {write_interval(best_row)}"
    if len(largest) > 1:
        text += f" with {best}"
        worst, label, row = largest[-1]
        text += f" (lowest), {write_interval(row)} with {label}{_elsewhere(frame, best_row, row)}"
        text += f" (highest, {worst / largest[0][0]:.2g} times)"
    return text + "."


def _elsewhere(frame: Frame, row: Mapping[str, Any], other: Mapping[str, Any]) -> str:
    size = frame.size
    return _size(frame, other) if size is not None and row[size] != other[size] else ""


def _growths(frame: Frame, stat: str) -> list[tuple[float, str, dict[str, Any], dict[str, Any]]]:
    found: list[tuple[float, str, dict[str, Any], dict[str, Any]]] = []
    size = frame.size
    if size is None:
        return found
    for label in frame.labels:
        first, last = frame.at("latency", stat, label, 0), frame.at("latency", stat, label, -1)
        if first is None or last is None or first[size] == last[size] or not first["value"] > 0:
            continue
        found.append((float(last["value"]) / float(first["value"]), label, first, last))
    return sorted((item for item in found if not math.isnan(item[0])), key=lambda item: item[0])


def _growth(frame: Frame) -> str:
    if frame.size is None:
        return ""
    stat = _quantile(frame)
    growths = _growths(frame, stat)
    if not growths:
        return ""
    ratio, label, first, last = growths[-1]
    text = (
        f"Most sensitive to size: {label}, whose {stat} goes from {write_value(first['value'], 's')}"
        f"{_size(frame, first)} to {write_value(last['value'], 's')}{_size(frame, last)} ({ratio:.2g} times)"
    )
    if len(growths) > 1:
        least, steady, *_ = growths[0]
        text += f"; least: {steady} ({least:.2g} times)"
    return text + "."


def _reason(frame: Frame) -> str:
    """Name the hop that grew most in the configuration that grew most, else the dearest hop."""
    growths = _growths(frame, _quantile(frame)) if frame.size is not None else []
    label = growths[-1][1] if growths else next(iter(frame.labels))
    hops = frame.select("hop_time", "mean", scope="hop", label=label)
    if hops.empty:
        return ""
    if not growths:
        top = hops.sort_values("value", ascending=False).iloc[0]
        taken = write_value(top["value"], "s")
        return f"Where the time goes ({label}): {top['name']} takes {taken} of a transaction in the mean."
    smallest, largest = hops[frame.size].min(), hops[frame.size].max()
    before = hops[hops[frame.size] == smallest].set_index("name")["value"]
    after = hops[hops[frame.size] == largest].set_index("name")["value"]
    moved = (after - before.reindex(after.index).fillna(0.0)).sort_values(ascending=False)
    name, gain = str(moved.index[0]), float(moved.iloc[0])
    total = float(moved[moved > 0].to_numpy().sum())
    if gain <= 0 or total <= 0:
        return f"Why ({label}): no part of a transaction grew with size."
    return (
        f"Why ({label}): {name} adds {write_value(gain, 's')} a transaction, {gain / total:.0%} of all parts that grew."
    )


def _throughput(frame: Frame) -> str:
    found = _extremes(frame, -1, "mean", "throughput_per_pod") or _extremes(frame, -1, "mean", "throughput")
    if not found:
        return ""
    _, low_label, low = found[0]
    _, high_label, high = found[-1]
    what = "Throughput per client pod" if "per_pod" in str(low["metric"]) else "Throughput"
    unit = str(low["unit"])
    if len(found) == 1:
        return f"{what}{_size(frame, high)}: {write_interval(high)}."
    if math.isclose(low["value"], high["value"], rel_tol=0.02):
        value = write_value(high["value"], unit)
        return f"{what}{_size(frame, high)}: {value}, the same in every configuration within 2 %."
    return (
        f"{what}{_size(frame, low)}: from {write_value(low['value'], unit)} ({low_label}) "
        f"to {write_value(high['value'], unit)} ({high_label})."
    )


def _busiest(frame: Frame) -> str:
    rows = frame.figures[(frame.figures["metric"] == "utilization") & (frame.figures["scope"] == "station")]
    if rows.empty:
        return ""
    top = rows.sort_values("value", ascending=False).iloc[0]
    where = f" ({frame.label(dict(top))}{_size(frame, dict(top))})" if frame.factors else ""
    return f"Busiest station: {top['name']} at {top['value']:.0%}{where}."


def _limits(impossible: Sequence[Impossible]) -> str:
    reasons = list(dict.fromkeys(item.reason for item in impossible))
    if not reasons:
        return ""
    # a limit with a number tells a planner more than a pair that never fits
    reasons.sort(key=lambda reason: not any(character.isdigit() for character in reason))
    more = f" (and {len(reasons) - 1} more)" if len(reasons) > 1 else ""
    return f"Cannot exist: {reasons[0].rstrip('.')}{more}."


def _failures(frame: Frame) -> str:
    found = [item for item in _extremes(frame, -1, "mean", "failed") if item[0] > 0]
    if not found:
        return ""
    share, label, row = found[-1]
    return f"Failed transactions: {share:.2%} with {label}{_size(frame, row)}."
