"""A matplotlib figure that notebooks show by itself. Loads matplotlib; everything else does so on first use of this."""

from __future__ import annotations

import io

from matplotlib.figure import Figure


class Canvas(Figure):
    """A figure outside of pyplot: nothing global, and no window."""

    def _repr_png_(self) -> bytes:
        buffer = io.BytesIO()
        self.savefig(buffer, format="png", dpi=110)
        return buffer.getvalue()
