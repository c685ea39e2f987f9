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
FULL = 0.94
"""Part of a line that full segments of 1500 bytes carry."""
ALIKE, UNLIKE = 1.1, 4.0
"""How close rates are that something holds, and how far apart the messages must be whose rates they are."""
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
    streams = [row for row in rows if row.setting.values.get("machine", "") == machine and _streams(row)]
    held = _held(streams)
    if held:
        return hardware.model_copy(update={"nic_bps": held / FULL})
    best = max((row.quantity.si for row in streams if "msg_bytes" not in row.setting), default=0.0)
    line = next((rate for rate in RATES_BPS if best <= ABOVE * rate), None)
    # the smallest card that could have carried it did, if that was full, or if the usual one could not
    if line is None or (best < FILLED * line and best <= (hardware.nic_bps or line)):
        return hardware
    return hardware.model_copy(update={"nic_bps": line})


def _streams(row: Row) -> bool:
    setting = row.setting.values
    between = "same" not in setting.get("path", "") and "local" not in setting.get("path", "")
    return row.role == "baseline" and row.quantity.dimension == "bit_rate" and between


def _held(streams: Sequence[Row]) -> float:
    """Return the rate at which something else than the hosts holds TCP's streams, 0 where nothing shows it.

    Programs that hand over small messages and large ones do not work alike: rates that are the same are a shaper's.
    """
    found = [row for row in streams if "msg_bytes" in row.setting and "udp" not in row.metric.lower()]
    sizes = [row.setting.number("msg_bytes") for row in found]
    rates = [row.quantity.si for row in found]
    alike = bool(found) and max(rates) <= ALIKE * min(rates)
    return max(rates) if alike and max(sizes) >= UNLIKE * min(sizes) else 0.0
