"""A comparison for its readers: terminal, job summary, test report, program."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from xml.etree import ElementTree

from netsim import units
from netsim.analysis.compare import Comparison, Row, Verdict

ALWAYS_SHOWN: tuple[Verdict, ...] = ("worse", "missing", "better", "new")
"""Verdicts listed one by one; figures that stayed the same are counted."""


def format_value(value: float | None, unit: str) -> str:
    """Write a figure for people."""
    if value is None or math.isnan(value):
        return "-"
    match unit:
        case "s":
            return units.format_seconds(value)
        case "bit/s":
            return units.format_bps(value)
        case "1/s":
            return f"{value:.4g}/s"
    return f"{value:.4g}"


def format_change(row: Row) -> str:
    """Write the change with its interval: ``+5.2% (+4.1% to +6.3%)``."""
    if math.isnan(row.ratio):
        return row.reason or "-"
    if math.isnan(row.ci_low) or row.ci_low == row.ci_high:
        return f"{row.ratio - 1:+.2%}"
    return f"{row.ratio - 1:+.1%} ({row.ci_low - 1:+.1%} to {row.ci_high - 1:+.1%})"


def headline(comparison: Comparison) -> str:
    """Return the verdict in a line."""
    counts = ", ".join(f"{number} {verdict}" for verdict, number in comparison.counts.items() if number)
    return f"{'PASS' if comparison.ok else 'FAIL'}: {counts or 'no figures compared'}"


def _cells(row: Row) -> tuple[str, ...]:
    baseline, candidate = format_value(row.baseline, row.unit), format_value(row.candidate, row.unit)
    return row.verdict, row.key.label, baseline, candidate, format_change(row)


HEADER = ("verdict", "figure", "baseline", "candidate", "change (95 % interval)")


def _shown(comparison: Comparison, everything: bool) -> list[Row]:
    return list(comparison.rows if everything else comparison.with_verdict(*ALWAYS_SHOWN))


def _explanations(comparison: Comparison) -> Iterator[str]:
    """Yield why each regression happened, where its parts are known."""
    for row in comparison.with_verdict("worse"):
        if row.explanation is not None:
            yield f"{row.key.label}: {row.explanation.sentence(row.key.stat)}"


def to_text(comparison: Comparison, *, everything: bool = False) -> str:
    """Return the comparison for a terminal: what differs, the table, why, the verdict last."""
    lines = [f"baseline   {comparison.baseline}", f"candidate  {comparison.candidate}"]
    lines += [f"differs    {difference}" for difference in comparison.differences]
    lines += [f"renamed    {rename.scope} {rename.old} -> {rename.new}" for rename in comparison.renames]
    rows = _shown(comparison, everything)
    if rows:
        table = [HEADER, *(_cells(row) for row in rows)]
        widths = [max(len(line[column]) for line in table) for column in range(len(HEADER))]
        lines.append("")
        lines += [
            "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in table
        ]
    why = list(_explanations(comparison))
    lines += ["", *why] if why else []
    lines += [f"note: {note}" for note in comparison.notes]
    return "\n".join([*lines, "", headline(comparison)]) + "\n"


def to_markdown(comparison: Comparison, *, everything: bool = False) -> str:
    """Return the comparison for a job summary or a pull request."""
    lines = [f"### netsim: {headline(comparison)}", ""]
    lines += [f"`{comparison.baseline}` against `{comparison.candidate}`", ""]
    for title, items in (
        ("Differences besides the figures", comparison.differences),
        ("Renamed", tuple(f"{rename.scope} {rename.old} -> {rename.new}" for rename in comparison.renames)),
    ):
        if items:
            lines += [f"{title}:", "", *(f"- {item}" for item in items), ""]
    rows = _shown(comparison, everything)
    if rows:
        lines += ["| " + " | ".join(HEADER) + " |", "|" + " --- |" * len(HEADER)]
        lines += ["| " + " | ".join(cell.replace("|", "\\|") for cell in _cells(row)) + " |" for row in rows]
        lines.append("")
    why = list(_explanations(comparison))
    if why:
        lines += ["Why:", "", *(f"- {sentence}" for sentence in why), ""]
    lines += [f"> {note}" for note in comparison.notes]
    return "\n".join(lines).rstrip() + "\n"


def to_json(comparison: Comparison) -> str:
    """Return the comparison as one JSON document."""
    return json.dumps(comparison.to_dict(), indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def to_junit(*comparisons: Comparison) -> str:
    """Return comparisons as JUnit XML, one test case a figure, so that a CI shows them among the tests."""
    suites = ElementTree.Element("testsuites")
    suites.extend(_suite(comparison) for comparison in comparisons)
    ElementTree.indent(suites)
    return '<?xml version="1.0" encoding="utf-8"?>\n' + ElementTree.tostring(suites, encoding="unicode") + "\n"


def _suite(comparison: Comparison) -> ElementTree.Element:
    failing = comparison.failing
    suite = ElementTree.Element(
        "testsuite", name=f"netsim compare {comparison.baseline}", tests=str(len(comparison.rows)), errors="0",
        skipped="0", failures=str(sum(row.verdict in failing for row in comparison.rows)),
    )  # fmt: skip
    properties = ElementTree.SubElement(suite, "properties")
    for difference in comparison.differences:
        ElementTree.SubElement(properties, "property", name="difference", value=difference)
    for row in comparison.rows:
        case = ElementTree.SubElement(
            suite, "testcase", classname=f"netsim.{row.key.scope}", name=row.key.label, time="0"
        )
        if row.verdict in failing:
            _, _, before, after, change = _cells(row)
            failure = ElementTree.SubElement(case, "failure", type=row.verdict, message=f"{row.verdict}: {change}")
            failure.text = f"baseline {before}, candidate {after}, {change}"
            if row.explanation is not None:
                failure.text += "\n" + row.explanation.sentence(row.key.stat)
    return suite
