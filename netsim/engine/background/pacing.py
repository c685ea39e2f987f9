"""How a message leaves: in which bursts, and how far apart these come to each station of their way.

TCP clocks itself. A new connection sends its initial window, waits for the acknowledgements, sends twice that, and so
on (slow start, RFC 5681); within a window bursts follow each other no faster than the slowest station they have passed.
So a large transfer never comes to a receiver's link in one lump, which is what spares shallow buffers.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, NamedTuple

from netsim.datapath.types import Role
from netsim.engine.pricing import PAUSE, Tariff
from netsim.engine.queueing.stations import LinkCharge

if TYPE_CHECKING:
    from netsim.engine.transport.tcp import TcpSettings

Pieces = tuple[tuple[float, float, int], ...]
"""Bursts of one message at one station, in order: seconds after the first one, service in seconds, number of window."""


Setup = tuple[float, float]
"""What a burst has to do with an idle core: for how long it waits, and the work that only an idle core has."""
AT_ONCE: Setup = (0.0, 0.0)


class Visit(NamedTuple):
    """What a message brings to one station of its way: its bursts, and the longest set-up among them."""

    pieces: Pieces
    setup: Setup


class Pace(NamedTuple):
    """How a transport lets a message go.

    ``first_segments`` is the window at its start, ``most_bytes`` the largest (both ``None``: no window, datagrams).
    """

    first_segments: int | None = None
    most_bytes: int | None = None

    @staticmethod
    def of_tcp(settings: TcpSettings, buffer_bytes: int, *, kept: bool) -> Pace:
        """Return the pace of a new connection, or of a ``kept`` one.

        The window of the latter has grown long ago, until it met others in a switch's buffer: as large as that is.
        """
        if kept:
            return Pace(None, min(settings.receive_window_bytes, buffer_bytes))
        return Pace(settings.initial_window, settings.receive_window_bytes)

    def windows(self, tariff: Tariff, size: int) -> Iterator[list[int]]:
        """Yield the bursts of each window, in bytes."""
        mss, largest = tariff.route.mss_bytes, tariff.route.burst_bytes
        most = size if self.most_bytes is None else self.most_bytes
        window = most if self.first_segments is None else min(most, self.first_segments * mss)
        left = size
        while True:
            now = min(left, max(window, mss))
            whole, rest = divmod(now, largest)
            yield [largest] * whole + [rest] * (rest > 0 or not whole)
            left -= now
            if left <= 0:
                return
            window = min(most, 2 * window)

    def acknowledges(self, tariff: Tariff, size: int) -> bool:
        """Tell whether every burst of a message is acknowledged by itself: where it takes more than one."""
        if self.most_bytes is None:
            return False
        first = self.most_bytes if self.first_segments is None else self.first_segments * tariff.route.mss_bytes
        return size > min(first, tariff.route.burst_bytes)


DATAGRAMS = Pace()


def priced(
    tariff: Tariff, size: int, position: float = 0.5, *, buffers: float = 1.0
) -> Iterator[tuple[Role, float, Setup]]:
    """Yield (role, service, set-up) of one burst, received as so many buffers, at every station of its route."""
    walking = tariff.charges(size, position) if buffers == 1.0 else tariff.merged(size, buffers)
    for index, charge, walked in zip(tariff.stops, tariff.named(size), walking, strict=False):
        if index != PAUSE:
            setup = AT_ONCE if isinstance(charge, LinkCharge) else (charge.setup_s, charge.idle_s)
            yield Role(index), walked[0], setup


_Visits = tuple[Mapping[Role, Visit], Mapping[Role, Visit]]


def visits(pace: Pace, forth: Tariff, back: Tariff, size: int, position: float) -> _Visits:
    """Return what a message brings to the stations of its way, and what its acknowledgements bring to those back.

    Parameters
    ----------
    pace: of its transport.
    forth, back: tariffs of the message and of what acknowledges it, which tells how many acknowledgements by size.
    size: payload in bytes.
    position: where the Service lies in the list that first packets walk.
    """
    if forth.scans or back.scans:
        return _visits(pace, forth, back, size, position)
    key = pace, back, size
    known: _Visits | None = forth.memo.get(key)
    if known is None:
        known = forth.memo[key] = _visits(pace, forth, back, size, position)
    return known


def _visits(pace: Pace, forth: Tariff, back: Tariff, size: int, position: float) -> _Visits:
    there: dict[Role, list[tuple[float, float, int]]] = {}
    setups: dict[Role, Setup] = {}
    told: dict[Role, list[tuple[float, float, int]]] = {}
    told_setups: dict[Role, Setup] = {}
    acknowledges = pace.acknowledges(forth, size)
    began = 0.0
    for number, bursts in enumerate(pace.windows(forth, size)):
        behind: dict[Role, float] = {}
        through = 0.0
        for burst in bursts:
            slowest = 0.0
            pieces = forth.pieces(burst) if acknowledges else 1.0
            for role, service_s, setup in priced(forth, burst, position, buffers=pieces):
                after = behind.get(role, 0.0)
                there.setdefault(role, []).append((began + after, service_s, number))
                setups[role] = max(setups.get(role, AT_ONCE), setup)
                behind[role] = after + slowest
                slowest = max(slowest, service_s)
            for role, service_s, setup in priced(back, forth.acknowledgements(burst)) if acknowledges else ():
                told.setdefault(role, []).append((began + through, service_s, number))
                told_setups[role] = setup
            through += slowest
        began += max(through, forth.unloaded_s(bursts[0]) + back.unloaded_s(0))
    return (
        {role: Visit(tuple(bursts), setups[role]) for role, bursts in there.items()},
        {role: Visit(tuple(bursts), told_setups[role]) for role, bursts in told.items()},
    )
