"""Tables with typed columns, written byte for byte the same from the same rows: CSV, Parquet, DataFrame."""

from __future__ import annotations

import csv
import io
import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

Cell = str | int | float | bool | None


@dataclass(frozen=True, slots=True)
class Table:
    """Columns of equal length, in order."""

    columns: Mapping[str, Sequence[Cell]]

    def __len__(self) -> int:
        return len(next(iter(self.columns.values()), ()))

    @staticmethod
    def from_rows(names: Sequence[str], rows: Sequence[Sequence[Cell]]) -> Table:
        """Build a table from rows; a column that mixes kinds of value is stored as text."""
        columns = list(zip(*rows, strict=True)) if rows else [()] * len(names)
        return Table({name: _uniform(column) for name, column in zip(names, columns, strict=True)})

    def to_csv(self) -> str:
        """Write as CSV: shortest exact decimals, NaN and None empty, lines ended by a line feed."""
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(self.columns)
        writer.writerows(zip(*([_csv_cell(cell) for cell in column] for column in self.columns.values()), strict=True))
        return text.getvalue()

    def to_arrow(self) -> pa.Table:
        """Return a PyArrow table; the type of a column is that of its values, not the writer's guess."""
        import pyarrow as pa

        return pa.table({name: pa.array(list(column), _arrow_type(column)) for name, column in self.columns.items()})

    def to_pandas(self) -> pd.DataFrame:
        """Return a DataFrame with a fresh index."""
        import pandas as pd

        return pd.DataFrame({name: list(column) for name, column in self.columns.items()})


def _uniform(column: Sequence[Cell]) -> Sequence[Cell]:
    kinds = {type(cell) for cell in column if cell is not None}
    if kinds <= {int, float} and float in kinds:
        return tuple(None if cell is None else float(cell) for cell in column)
    if len(kinds) <= 1:
        return tuple(column)
    return tuple(None if cell is None else str(cell) for cell in column)


def _csv_cell(cell: Cell) -> str:
    if cell is None or (isinstance(cell, float) and math.isnan(cell)):
        return ""
    return repr(cell) if isinstance(cell, float) else str(cell)


def _arrow_type(column: Sequence[Cell]) -> pa.DataType:
    import pyarrow as pa

    first = next((cell for cell in column if cell is not None), "")
    kinds: list[tuple[type, pa.DataType]] = [
        (bool, pa.bool_()), (int, pa.int64()), (float, pa.float64()), (str, pa.string()),
    ]  # fmt: skip
    return next(arrow for kind, arrow in kinds if isinstance(first, kind))


def write_atomically(path: Path, content: bytes) -> None:
    """Write a file so that a reader, or a crash, sees the old content or the new one and nothing in between."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.write_bytes(content)
    temporary.replace(path)


def parquet_bytes(table: pa.Table) -> bytes:
    """Return a Parquet file's content; the same for the same table and version of PyArrow."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    buffer = pa.BufferOutputStream()
    pq.write_table(table, buffer, compression="zstd")
    content: Any = buffer.getvalue()
    return bytes(content.to_pybytes())
