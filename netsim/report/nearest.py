"""The hard limits that a cluster is nearest to: what stops its growth where no station is busy."""

from __future__ import annotations

from typing import TYPE_CHECKING

from netsim.inspect import limits
from netsim.report.bottlenecks import largest
from netsim.report.frame import Frame, write_value
from netsim.report.tables import Rows

if TYPE_CHECKING:
    from netsim.datapath.limits import LimitUse
    from netsim.study import StudyResult

SHOWN = 6


def limit_rows(result: StudyResult, frame: Frame) -> Rows:
    """Return the known limits of which most is used, at the largest size measured; none for several configurations.

    Those come with their own `inspect limits`; looking at each of them would take longer than to run it.
    """
    columns = ["limit", "of", "used", "of at most", "share", "reached at", "then"]
    places = list(largest(result, frame))
    if len(places) != 1:
        return columns, []
    uses = [use for use in limits(result.points[places[0][1]].scenario).uses if use.used and use.limit]
    uses.sort(key=lambda use: (-_share(use), use.id))
    return columns, [_row(use) for use in uses[:SHOWN]]


def _share(use: LimitUse) -> float:
    return (use.used or 0.0) / use.limit if use.limit else 0.0


def _row(use: LimitUse) -> list[str]:
    share = _share(use)
    return [
        use.name, use.scope, write_value(use.used or 0.0, "1"), f"{write_value(use.limit or 0.0, '1')} {use.unit}",
        f"{share:.2%}" if share < 0.1 else f"{share:.0%}",
        "not by size" if use.reached_at is None else f"{use.reached_at:,} nodes",
        use.then,
    ]  # fmt: skip
