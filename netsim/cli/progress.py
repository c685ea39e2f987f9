"""Progress on the standard error stream of a terminal, redrawn only when told to: measurements share the processor."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import monotonic

REDRAW_SECONDS = 0.5


@contextmanager
def shown() -> Iterator[Callable[[str, int, int], None]]:
    """Show a bar while a block runs; yield what to call with the activity, how much is done and how much there is."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.completed}/{task.total}"))
    bar = Progress(*columns, TimeElapsedColumn(), console=Console(stderr=True), auto_refresh=False, transient=True)
    task = bar.add_task("starting")
    drawn = 0.0

    def tell(activity: str, done: int, total: int) -> None:
        nonlocal drawn
        if monotonic() - drawn >= REDRAW_SECONDS:
            drawn = monotonic()
            bar.update(task, description=activity, completed=done, total=total, refresh=True)

    with bar:
        yield tell
