"""Prints passed/total for each area (test function) of the conformance modules."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

HERE = Path(__file__).parent


@pytest.hookimpl(trylast=True)
def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    passed: Counter[str] = Counter()
    total: Counter[str] = Counter()
    for outcome in ("passed", "failed", "error"):
        for report in terminalreporter.getreports(outcome):
            path, _, name = report.nodeid.partition("::")
            if Path(path).parent.name != HERE.name or (report.when != "call" and outcome == "passed"):
                continue
            area = f"{Path(path).stem.removeprefix('test_')}: {name.partition('[')[0].removeprefix('test_')}"
            total[area] += 1
            passed[area] += outcome == "passed"
    if total:
        terminalreporter.section("conformance, passed/total per area")
        for area, number in total.items():
            terminalreporter.write_line(f"{area} {passed[area]}/{number}")
