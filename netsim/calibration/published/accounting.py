"""Every row of the published tables accounted for: predicted, trivial, used as a baseline, or left out with a reason.

A table is a series of rows with one prefix (``SVC-017`` is of the table ``SVC``), spread over any number of cases.
Rows that no case holds are listed in ``outside.yaml``.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources

import yaml
from pydantic import BaseModel, ConfigDict, Field

from netsim.calibration.published.validation import CaseResult

LEFT_OUT = 0.1
"""Most that may be left out of a table, as a fraction of its rows that are not trivial."""


class Outside(BaseModel):
    """Rows that no case predicts, with the reason."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    rows: str
    count: int = Field(gt=0)
    reason: str


class _List(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    rows: tuple[Outside, ...]


@lru_cache(maxsize=1)
def outside() -> tuple[Outside, ...]:
    """Return the rows of the tables that no case holds."""
    text = (resources.files("netsim") / "data" / "published" / "outside.yaml").read_text(encoding="utf-8")
    return _List.model_validate({"rows": yaml.safe_load(text)}).rows


@dataclass(frozen=True, slots=True)
class Account:
    """How many rows of a table went where; baselines and trivial rows are not counted against it."""

    table: str
    predicted: int
    trivial: int
    baselines: int
    left_out: int

    @property
    def share(self) -> float:
        """Rows left out (excluded, outside, or predicted as ranges) over those that are not trivial."""
        return self.left_out / max(1, self.left_out + self.predicted)

    @property
    def holds(self) -> bool:
        """Whether at most a tenth is left out."""
        return self.share <= LEFT_OUT


def table_of(row: str) -> str:
    """Return the table of a row, by what stands before its number."""
    return row.split("-", maxsplit=1)[0]


def accounts(results: Iterable[CaseResult]) -> tuple[Account, ...]:
    """Return one account a table, in the order in which the tables are met."""
    counted: dict[str, Counter[str]] = {}
    for result in results:
        for kind, rows in (
            ("predicted", result.points), ("trivial", result.trivial), ("left_out", result.ranges),
            ("left_out", result.excluded), ("baselines", [row for row in result.case.rows if row.role == "baseline"]),
        ):  # fmt: skip
            for row in rows:
                counted.setdefault(table_of(row.id), Counter())[kind] += 1
    for item in outside():
        if table_of(item.rows) in counted:
            counted[table_of(item.rows)]["left_out"] += item.count
    kinds = ("predicted", "trivial", "baselines", "left_out")
    return tuple(Account(table, *(found[kind] for kind in kinds)) for table, found in counted.items())
