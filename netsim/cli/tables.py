"""Plain tables and notes on a terminal."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from netsim.cluster.objects import Note


def print_table(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a table; as wide as it needs when the output is not a terminal, so that nothing is cut."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))
    console = Console(width=None if sys.stdout.isatty() else 200, highlight=False)
    console.print(Text(title, style="italic"))
    console.print(table if rows else Text("nothing"))
    console.print()


def print_notes(notes: Iterable[Note]) -> None:
    """Print what was assumed or ignored, on standard error so that it never mixes with an answer."""
    for note in notes:
        typer.echo(f"{note.level}: {note.text}", err=True)
