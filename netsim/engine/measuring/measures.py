"""Figures of a replication that are one number: rates, shares, the busiest stations."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from netsim.engine.queueing.stations import Core, Link, Pool, Station, TokenBucket

if TYPE_CHECKING:
    from netsim.cluster.traffic import Edge
    from netsim.engine.background.sampling import Plan
    from netsim.engine.measuring.probes import EdgeRecord
    from netsim.engine.network import Network
    from netsim.engine.workload.traffic import Traffic

TRANSFER_BYTES = 2**20
"""Mean payload of a transaction from which on its speed is told in bits per second."""
BUSIEST = 20
"""How many stations are listed by name."""
FULLEST = 3
"""How many nodes are listed with their conntrack table."""


class Scalar(NamedTuple):
    """A run's figure: ``scope``/``name`` say of what (``station``/``node-3/core0``), ``unit`` is an SI name."""

    scope: str
    name: str
    metric: str
    stat: str
    value: float
    unit: str
    n_samples: int = 0


def measure_stations(network: Network) -> tuple[Scalar, ...]:
    """Return the figures of stations and tables at the end of the time in which clients send."""
    now = float(network.clock.now)
    stations = list(network.stations())
    for station in stations:
        station.catch_up(now)
    figures = _station_figures(stations, now, _refusals(network))
    return (*_conntrack_figures(network), *_port_figures(network), *figures)


def _refusals(network: Network) -> dict[str, int]:
    """Return how many packets found no room in a table, and how many in a socket's buffer."""
    found = {"conntrack table": sum(table.dropped for table in network.conntrack.tables.values())}
    if network.neighbours is not None:
        tables = network.neighbours.tables.values()
        found["neighbour table"] = sum(table.dropped for table in tables if table is not None)
    if network.ports is not None:
        ranges = network.ports.snat.values()
        found["masquerade ports"] = sum(table.dropped for table in ranges if table is not None)
    return found


def measure_traffic(traffic: Traffic, chosen: Plan, edges: Sequence[Edge]) -> tuple[Scalar, ...]:
    """Return the figures of edges and of the whole, when all that could finish has finished.

    Rates are those of the whole cluster: what the followed clients did, for as many clients as there are.
    """
    found = [
        (record, is_top, chosen.duration_s * chosen.share[index], index)
        for index, performer in enumerate(traffic.performers)
        if chosen.share[index] > 0.0
        for record, _, is_top in performer.records()
    ]
    figures = [figure for record, _, seconds, _ in found for figure in _edge_figures(record, seconds)]
    top = [
        _Counted(record, seconds * chosen.chance[index], chosen.counted[index])
        for record, is_top, seconds, index in found
        if is_top
    ]
    clients = len({client for edge in edges for client in edge.clients})
    return (*figures, *_scenario_figures(top, clients))


class _Counted(NamedTuple):
    """What a followed edge brings to figures of the whole.

    Its transactions in ``seconds`` stand for those of a second in the whole cluster (Horvitz and Thompson 1952);
    ``weight`` is what one counts for in a mean over transactions.
    """

    record: EdgeRecord
    seconds: float
    weight: float


def _edge_figures(record: EdgeRecord, seconds: float) -> list[Scalar]:
    return [
        Scalar("edge", record.label, "throughput", "mean", record.finished / seconds, "1/s", record.finished),
        Scalar("edge", record.label, "goodput", "mean", 8.0 * record.payload / seconds, "bit/s", record.finished),
        Scalar("edge", record.label, "failed", "mean", record.failed / max(1, record.started), "1", record.started),
        Scalar("edge", record.label, "unfinished", "mean", record.unfinished / max(1, record.started), "1",
               record.started),
        *_transfer_figures(record),
        *_held_up_figures(record),
        *_fairness(record),
    ]  # fmt: skip


def _held_up_figures(record: EdgeRecord) -> list[Scalar]:
    """Return for how long a transaction's senders had data and could not send, by what they waited for."""
    return [
        Scalar("edge", record.label, f"held_up_{why.name.replace(' ', '_')}", "mean", seconds / record.started, "s",
               record.started)
        for why, seconds in sorted(record.stalls.seconds.items())
        if seconds > 0.0
    ]  # fmt: skip


def _transfer_figures(record: EdgeRecord) -> list[Scalar]:
    """Return how fast payload moved while it was under way, where transactions are large enough to be transfers."""
    if not record.finished or record.payload < TRANSFER_BYTES * record.finished:
        return []
    rate = 8.0 * record.payload / math.fsum(record.column("request"))
    return [Scalar("edge", record.label, "transfer", "mean", rate, "bit/s", record.finished)]


def _fairness(record: EdgeRecord) -> list[Scalar]:
    """Return how evenly streams shared what they got together: 1 for equal shares, 1/n where one of n has all.

    Source: Jain, Chiu and Hawe 1984 (DEC-TR-301), (Σ x)² / (n Σ x²).
    """
    shares = record.delivered
    squares = sum(share * share for share in shares)
    if len(shares) < 2 or not squares:
        return []
    index = sum(shares) ** 2 / (len(shares) * squares)
    return [Scalar("edge", record.label, "fairness", "mean", index, "1", len(shares))]


def _scenario_figures(found: list[_Counted], clients: int) -> list[Scalar]:
    started = max(1, sum(each.record.started for each in found))
    finished = sum(each.record.finished for each in found)
    rate = math.fsum(each.record.finished / each.seconds for each in found)
    payload = math.fsum(each.record.payload / each.seconds for each in found)
    weight = math.fsum(each.record.started * each.weight for each in found) or 1.0
    failed = math.fsum(each.record.failed * each.weight for each in found) / weight
    unfinished = math.fsum(each.record.unfinished * each.weight for each in found) / weight
    figures = [
        Scalar("scenario", "", "throughput", "mean", rate, "1/s", finished),
        Scalar("scenario", "", "goodput", "mean", 8.0 * payload, "bit/s", finished),
        Scalar("scenario", "", "failed", "mean", failed, "1", started),
        Scalar("scenario", "", "unfinished", "mean", unfinished, "1", started),
    ]
    if clients:
        figures.insert(1, Scalar("scenario", "", "throughput_per_pod", "mean", rate / clients, "1/s", finished))
        figures.insert(3, Scalar("scenario", "", "goodput_per_pod", "mean", 8.0 * payload / clients, "bit/s", finished))
    return figures


def _conntrack_figures(network: Network) -> list[Scalar]:
    """Return the fullest conntrack tables, as shares of their limit, and what full ones dropped."""
    tables = sorted(network.conntrack.tables.values(), key=lambda table: (-table.most / table.limit, table.name))
    dropped = sum(table.dropped for table in tables)
    figures = [Scalar("node", t.name, "conntrack", "max", t.most / t.limit, "1") for t in tables[:FULLEST]]
    if dropped:
        figures.append(Scalar("scenario", "", "conntrack_drops", "sum", float(dropped), "1"))
    return figures


def _port_figures(network: Network) -> list[Scalar]:
    """Return how often ranges of ports had none left, by kind."""
    found = network.ports.exhausted() if network.ports is not None else []
    return [
        Scalar("scenario", kind, "port_refusals", "sum", float(sum(table.dropped for table in tables)), "1")
        for kind, tables in found
    ]


_KINDS: tuple[tuple[type[Station], str], ...] = (
    (Core, "core"), (Link, "link"), (Pool, "pool"), (TokenBucket, "bucket"),
)  # fmt: skip


def _station_figures(stations: list[Station], duration: float, refused: dict[str, int]) -> list[Scalar]:
    """Return loss over all and by place, utilisation per kind of station (mean and highest), and the busiest by name.

    ``refused`` packets found no room in a table.
    """
    figures = []
    dropped = sum(refused.values()) + sum(station.dropped for station in stations)
    offered = dropped + sum(station.arrived for station in stations)
    figures.append(Scalar("scenario", "", "loss", "mean", dropped / max(1, offered), "1", offered))
    places = {word: sum(s.dropped for s in stations if isinstance(s, kind)) for kind, word in _KINDS}
    unread = sum(station.unread for station in stations if isinstance(station, Core))
    places = {**places, "core": places["core"] - unread, "socket": unread, **refused}
    figures += [
        Scalar("scenario", place, "loss_at", "mean", count / offered, "1", offered)
        for place, count in places.items() if count
    ]  # fmt: skip
    used = [station for station in stations if station.arrived]
    for kind, word in _KINDS:
        busy = [station.busy_s / _servers(station) / duration for station in used if isinstance(station, kind)]
        if busy:
            figures.append(Scalar("scenario", word, "utilization", "max", max(busy), "1", len(busy)))
    ranked = sorted(
        (station for station in used if isinstance(station, Core | Link | Pool | TokenBucket)),
        key=lambda station: (-station.busy_s / _servers(station), station.name),
    )
    for station in ranked[:BUSIEST]:
        share = station.busy_s / _servers(station) / duration
        present = station.sojourn_s / duration
        figures.append(Scalar("station", station.name, "utilization", "mean", share, "1", station.arrived))
        figures.append(Scalar("station", station.name, "queue", "mean", present, "1", station.arrived))
        if station.dropped:
            loss = station.dropped / (station.dropped + station.arrived)
            figures.append(Scalar("station", station.name, "loss", "mean", loss, "1", station.arrived))
    return figures


def _servers(station: Station) -> int:
    return len(station.free_times) if isinstance(station, Pool) else 1
