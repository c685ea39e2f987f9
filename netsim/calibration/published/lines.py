"""The line rate of hosts whose publication does not state it, read out of the baseline rows that fill it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from netsim.calibration.published.hardware import Hardware

if TYPE_CHECKING:
    from netsim.calibration.published.case import Row

RATES_BPS = (1e9, 10e9, 25e9, 40e9, 50e9, 100e9, 200e9, 400e9)
"""Line rates of Ethernet (IEEE 802.3) that servers have."""
FILLED = 0.85
"""From which part of a line rate on a stream is taken to be held by it: headers, tunnels and a shaper leave so much."""
ABOVE = 1.03
"""How far above a line rate a figure may be that it is still taken for: decimal and binary units, rounding."""


def with_line(hardware: Hardware, rows: Sequence[Row], machine: str = "") -> Hardware:
    """Return hosts with the line rate that baseline rows show, where nobody states one.

    Parameters
    ----------
    rows: of the table; those of ``machine`` between nodes count.
    """
    if hardware.line_stated:
        return hardware
    rates = [row.quantity.si for row in rows if row.setting.values.get("machine", "") == machine and _streams(row)]
    best = max(rates, default=0.0)
    line = next((rate for rate in RATES_BPS if best <= ABOVE * rate), None)
    # the smallest card that could have carried it did, if that was full, or if the usual one could not
    if line is None or (best < FILLED * line and best <= (hardware.nic_bps or line)):
        return hardware
    return hardware.model_copy(update={"nic_bps": line})


def _streams(row: Row) -> bool:
    setting = row.setting.values
    between = "same" not in setting.get("path", "") and "local" not in setting.get("path", "")
    return row.role == "baseline" and row.quantity.dimension == "bit_rate" and between and "msg_bytes" not in setting
