"""The record of a long study: rows of what was found and what was expected, kept as JSON, printed as a table."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple


class Finding(NamedTuple):
    """One figure of a study: what it is of, what was found, what was expected, and whether that holds."""

    what: str
    found: str
    expected: str
    holds: bool


def write(path: Path, findings: Sequence[Finding], **budget: Any) -> None:
    """Write a record; ``budget`` says with what it was made."""
    lines = ",\n".join(f"  {json.dumps(finding._asdict(), ensure_ascii=False)}" for finding in findings)
    text = f'{{\n "budget": {json.dumps(budget, ensure_ascii=False)},\n "findings": [\n{lines}\n ]\n}}\n'
    path.write_text(text, encoding="utf-8")


def read(path: Path) -> tuple[tuple[Finding, ...], dict[str, Any]]:
    """Return findings and budget of a record."""
    document = json.loads(path.read_text(encoding="utf-8"))
    return tuple(Finding(**row) for row in document["findings"]), document["budget"]


def show(findings: Sequence[Finding]) -> None:
    """Print findings for whoever waits for the program."""
    for finding in findings:
        verdict = "ok" if finding.holds else f"not {finding.expected}"
        print(f"{finding.what:32} {finding.found:>24}  {verdict}", flush=True)


def table(records: Sequence[tuple[str, Sequence[Finding], dict[str, Any]]]) -> str:
    """Return records as one Markdown table; columns are padded, so that a terminal shows a table, too."""
    rows = [("study", "of", "found", "expected", "verdict")]
    for name, findings, _ in records:
        rows += [(name, f.what, f.found, f.expected, "holds" if f.holds else "BROKEN") for f in findings]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = [f"| {' | '.join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))} |" for row in rows]
    lines.insert(1, "| " + " | ".join("-" * width for width in widths) + " |")
    return "\n".join(lines) + "\n"
