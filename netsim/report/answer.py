"""The answer in words: what happened to latency and throughput as the cluster grew, what limits it, what cannot exist.

Every sentence is computed from the figures; the same lines end the demo and open the report.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from netsim.report.frame import Frame, write_interval, write_size, write_value

PHASES = {"dns": "name resolution", "connect": "connecting", "request": "request and answer"}
GROWN = 1.05
"""Below this ratio a latency counts as unmoved by size."""
NAMED = 3


@dataclass(frozen=True, slots=True)
class Impossible:
    """A point that cannot exist, with the reason."""

    point: Mapping[str, Any]
    reason: str


def answer(frame: Frame, impossible: Sequence[Impossible] = (), *, lines: int = 5) -> tuple[str, ...]:
    """Return the answer in at most ``lines`` sentences, the most useful first.

    Latencies are compared among the points that carry their load; those that do not are named as such.
    """
    if frame.figures.empty:
        return tuple(dict.fromkeys(f"Cannot exist: {item.reason}." for item in impossible))[:lines]
    carried = frame.carried
    said = [
        _latency(carried), _growth(carried), _reason(carried), _faults(frame), _throughput(frame), _beyond(frame),
        _limits(impossible), _busiest(carried),
    ]  # fmt: skip
    kept = [text for text in said if text]
    if len(kept) > lines:  # growth and its reason are one thought
        kept = [_latency(carried), f"{_growth(carried)} {_reason(carried)}".strip(), *said[3:]]
    return tuple(text for text in kept if text)[:lines]


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
    return "" if frame.size is None else f" at {write_size(frame.size, row[frame.size])}"


def _latency(frame: Frame) -> str:
    stat = _quantile(frame)
    found = _extremes(frame, -1, stat)
    if not found:
        return ""
    if frame.size is not None:  # the configurations that get furthest are compared with each other
        largest = max(row[frame.size] for _, _, row in found)
        found = [item for item in found if item[2][frame.size] == largest]
    low, best, row = found[0]
    text = f"{stat} latency{_size(frame, row)}: {write_interval(row)}"
    if len(frame.labels) > 1:
        text += f" with {best}"
    if len(found) > 1:
        high, worst, worst_row = found[-1]
        text += f" (lowest), {write_interval(worst_row)} with {worst} (highest, {_times(high / low)})"
    return text + "."


def _times(ratio: float) -> str:
    return f"{ratio:,.0f} times" if ratio >= 10 else f"{ratio:.2g} times"


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
    growths = _growths(frame, stat := _quantile(frame))
    if not growths:
        return ""
    ratio, label, first, last = growths[-1]
    if ratio < GROWN:
        return f"Size hardly moves {stat} latency: at most {_times(ratio)} ({label})."
    text = (
        f"Most sensitive to size: {label}, whose {stat} goes from {write_value(first['value'], 's')}"
        f"{_size(frame, first)} to {write_value(last['value'], 's')}{_size(frame, last)} ({_times(ratio)})"
    )
    if len(growths) > 1:
        least, steady, *_ = growths[0]
        text += f"; least: {steady} ({_times(least)})"
    return text + "."


def _reason(frame: Frame) -> str:
    """Say which phase and which hop grew most in the configuration that grew most, else name the dearest hop."""
    growths = _growths(frame, _quantile(frame))
    label = growths[-1][1] if growths else next(iter(frame.labels))
    hops = frame.select("hop_time", "mean", scope="hop", label=label)
    if not growths:
        if hops.empty:
            return ""
        top = hops.sort_values("value", ascending=False).iloc[0]
        where = f" ({label})" if len(frame.labels) > 1 else ""
        return f"Most work{where}: {top['name']}, {write_value(top['value'], 's')} of CPU a transaction."
    if growths[-1][0] < GROWN:
        return ""
    said = [text for text in (_phase_grown(frame, label), _hop_grown(frame, hops)) if text]
    return f"Why ({label}): {'; '.join(said)}." if said else ""


def _phase_grown(frame: Frame, label: str) -> str:
    """Name the phase of a transaction whose mean grew most."""
    gains = []
    for metric, name in PHASES.items():
        first, last = frame.at(metric, "mean", label, 0), frame.at(metric, "mean", label, -1)
        if first is not None and last is not None:
            gains.append((float(last["value"]) - float(first["value"]), name))
    gain, name = max(gains, default=(0.0, ""))
    return f"{name} takes {write_value(gain, 's')} longer in the mean" if gain > 0 else ""


def _hop_grown(frame: Frame, hops: Any) -> str:
    """Name the hop whose work grew most."""
    if hops.empty:
        return ""
    smallest, largest = hops[frame.size].min(), hops[frame.size].max()
    before = hops[hops[frame.size] == smallest].set_index("name")["value"]
    after = hops[hops[frame.size] == largest].set_index("name")["value"]
    moved = (after - before.reindex(after.index).fillna(0.0)).sort_values(ascending=False)
    name, gain, total = str(moved.index[0]), float(moved.iloc[0]), float(moved[moved > 0].to_numpy().sum())
    return f"{name} adds most work, {write_value(gain, 's')} a transaction" if gain > 0.01 * total > 0 else ""


def _throughput(frame: Frame) -> str:
    found = _extremes(frame, -1, "mean", "throughput_per_pod") or _extremes(frame, -1, "mean", "throughput")
    if not found:
        return ""
    (lowest, low_label, low), (highest, high_label, high) = found[0], found[-1]
    what = "Throughput per client pod" if "per_pod" in str(low["metric"]) else "Throughput"
    if len(found) == 1:
        return f"{what}{_size(frame, high)}: {write_interval(high)}."
    if math.isclose(lowest, highest, rel_tol=0.02):
        value = write_value(highest, str(high["unit"]))
        return f"{what}: {value} at the largest size of every configuration, the same within 2 %."
    return (
        f"{what} at the largest size: from {write_value(lowest, str(low['unit']))} ({low_label}{_size(frame, low)}) "
        f"to {write_value(highest, str(high['unit']))} ({high_label}{_size(frame, high)})."
    )


def _faults(frame: Frame) -> str:
    """Say how long transactions felt each fault, at the point where that was longest."""
    rows = frame.select("recovery", "max", scope="fault")
    said = []
    for name in dict.fromkeys(rows["name"]):
        longest = rows[rows["name"] == name].sort_values("value", kind="stable").iloc[-1]
        where = f" with {frame.label(longest)}" if len(frame.labels) > 1 else ""
        said.append(f"{name}: felt for {write_value(longest['value'], 's', 'recovery')}{where}")
    more = f"; {len(said) - NAMED} more" if len(said) > NAMED else ""
    return f"Faults: {'; '.join(said[:NAMED])}{more}." if said else ""


def _beyond(frame: Frame) -> str:
    """Name the configurations that do not carry their load, from which size on, and why."""
    first: dict[str, dict[str, Any]] = {}
    for point in frame.beyond:
        known = first.setdefault(frame.label(point), point)
        if frame.size is not None and point[frame.size] < known[frame.size]:
            first[frame.label(point)] = point
    said = []
    for label, point in first.items():
        share = write_value(frame.unanswered(point), "1", "failed")
        said.append(f"{label}{_from(frame, point)} ({share} of transactions unanswered{_cause(frame, point)})")
    more = f" and {len(said) - NAMED} more" if len(said) > NAMED else ""
    return f"Does not carry its load: {', '.join(said[:NAMED])}{more}." if said else ""


def _from(frame: Frame, point: Mapping[str, Any]) -> str:
    return "" if frame.size is None else f" from {write_size(frame.size, point[frame.size])} on"


def _cause(frame: Frame, point: Mapping[str, Any]) -> str:
    table = frame.of_point(point).figures
    if (table["scope"] == "fault").any():
        return ", faults included"
    full = table[(table["metric"] == "conntrack") & (table["value"] >= 1.0)]
    busy = table[(table["metric"] == "utilization") & (table["scope"] == "station") & (table["value"] >= 1.0)]
    if not full.empty:
        return ": conntrack tables are full"
    if not busy.empty:
        top = busy.sort_values("value", ascending=False).iloc[0]
        return f": {top['name']} gets {top['value']:.0%} of what it can do"
    return ""


def _busiest(frame: Frame) -> str:
    rows = frame.figures[(frame.figures["metric"] == "utilization") & (frame.figures["scope"] == "station")]
    if rows.empty:
        return ""
    top = dict(rows.sort_values("value", ascending=False).iloc[0])
    where = f" ({frame.label(top)}{_size(frame, top)})" if frame.factors else ""
    return f"Busiest station: {top['name']}, busy {write_value(top['value'], '1', 'utilization')} of the time{where}."


def _limits(impossible: Sequence[Impossible]) -> str:
    reasons = list(dict.fromkeys(item.reason for item in impossible))
    if not reasons:
        return ""
    # a limit with a number tells a planner more than a pair that never fits
    reasons.sort(key=lambda reason: not any(character.isdigit() for character in reason))
    more = f" (and {len(reasons) - 1} more)" if len(reasons) > 1 else ""
    return f"Cannot exist: {reasons[0].rstrip('.')}{more}."
