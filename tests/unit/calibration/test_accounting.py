"""Every row of the published tables is accounted for, once."""

from __future__ import annotations

import csv
from collections import Counter
from pathlib import Path

import pytest

from netsim.calibration.published.accounting import accounts, outside, table_of
from netsim.calibration.published.case import load_case, shipped_cases
from netsim.calibration.published.validation import validate_case

SHARED = Path(__file__).parents[3].parent / "shared" / "published"


def test_a_table_is_spread_over_cases_and_ranges_count_as_left_out(tmp_path: Path) -> None:
    results = []
    for name, rows in (
        ("one", ("A-1,none,baseline,", "A-2,calico,target,")),
        ("two", ("A-3,calico,range,unknown", "A-4,none,target,", "B-1,calico,excluded,why")),
    ):
        folder = tmp_path / name
        folder.mkdir()
        parts = [row.split(",") for row in rows]
        lines = [f"{key},tcp_rr_rate,cni={cni},20000,transactions/s,{role},{why}\n" for key, cni, role, why in parts]
        header = "id,metric,configuration,value,unit,role,reason\n"
        (folder / "published.csv").write_text(header + "".join(lines), encoding="utf-8")
        results.append(validate_case(load_case(str(folder)), draws=0))
    found = {account.table: account for account in accounts(results)}
    assert (found["A"].predicted, found["A"].baselines, found["A"].left_out) == (2, 1, 1)
    assert found["A"].share == pytest.approx(1 / 3)
    assert not found["A"].holds
    assert (found["B"].predicted, found["B"].left_out) == (0, 1)


@pytest.mark.skipif(not SHARED.is_dir(), reason="the collection of published rows is not here")
def test_cases_and_the_list_hold_every_row_of_the_collection_once() -> None:
    rows = [row for case in map(load_case, shipped_cases()) for row in case.rows]
    held = {row.id for row in rows}
    assert max(Counter(row.id for row in rows if row.role != "baseline").values()) == 1
    missing: Counter[str] = Counter()
    for name in ("dataplane.csv", "control.csv"):
        with (SHARED / name).open(encoding="utf-8", newline="") as stream:
            missing.update(table_of(row["id"]) for row in csv.DictReader(stream) if row["id"] not in held)
    listed: Counter[str] = Counter()
    for item in outside():
        listed[table_of(item.rows)] += item.count
    assert listed == missing
