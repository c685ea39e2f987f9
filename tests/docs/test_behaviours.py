"""The table of behaviours: its modules, tests and experiments exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "behaviours.md").read_text(encoding="utf-8")
ROWS = [line.strip("| ").split(" | ") for line in PAGE.splitlines() if line.startswith("|")]
BEHAVIOURS = [row for row in ROWS if row[0] not in ("behaviour", "claim") and not set(row[0]) <= set("-|")]


@pytest.mark.parametrize("row", BEHAVIOURS, ids=lambda row: row[0])
def test_module_test_and_experiment_of_a_behaviour_exist(row: list[str]) -> None:
    _, module, test, experiments = row
    assert (ROOT / module.strip("`")).is_file()
    file, _, name = test.strip("`").partition("::")
    assert re.search(rf"^def {name}\(", (ROOT / file).read_text(encoding="utf-8"), re.MULTILINE), test
    shown = re.findall(r"\]\(\.\./(experiments/[\w-]+)/README\.md\)", experiments)
    assert all((ROOT / folder / "README.md").is_file() for folder in shown)
    assert shown or experiments == "–"


def test_a_behaviour_without_an_experiment_is_one_of_exactness() -> None:
    load = PAGE.split("## Exactness")[0]
    assert " – |" not in load

