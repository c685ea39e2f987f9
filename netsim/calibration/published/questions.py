"""Which question a metric asks. Metrics are read by name; a new kind of metric is one class and one line here."""

from __future__ import annotations

import re
from collections.abc import Callable

from netsim.calibration.published.bench import Question
from netsim.calibration.published.case import Row
from netsim.calibration.published.naming import Memory, QueryCount, QueryRate, QueryTime
from netsim.calibration.published.packets import FloodedRoundTrip, ForwardLatency, IdleShare, PacketRate, function_of
from netsim.calibration.published.services import (
    FirstPacket,
    KeptChange,
    Requests,
    RuleCount,
    TableBound,
    percentile_of,
)
from netsim.calibration.published.transport import Bulk, Connection, Datagrams, Flows, HostCpu, RoundTrip
from netsim.errors import InputError, Place

Maker = Callable[[Row], Question]


def _bulk(row: Row) -> Question:
    return Flows() if row.setting.streams > 1 else Bulk()


TESTS = {"tcp_stream": "bulk", "stream": "bulk", "tcp_rr": "round-trip", "rr": "round-trip", "tcp_crr": "connection",
         "crr": "connection"}  # fmt: skip


def _cpu(row: Row) -> Question:
    test = TESTS.get(row.setting.text("test").lower(), "")
    if not test:
        unit = row.quantity.unit
        test = "bulk" if "bit" in unit else "connection" if "conn" in unit else "round-trip"
    side = row.setting.text("side") or ("server" if "receiver" in row.quantity.unit else "client")
    return HostCpu(test, "server" if side in ("server", "receiver") else "client")


def _round_trip(row: Row) -> Question:
    if any(key in row.setting for key in ("autopath", "cache", "ndots")):
        return QueryTime()
    return FloodedRoundTrip() if "background_udp_mpps" in row.setting else RoundTrip(percentile=percentile_of(row))


def _packets(row: Row) -> Question:
    return PacketRate(function_of(row.setting).family)


def _requests(row: Row) -> Question:
    return Requests(keepalive=row.setting.text("keepalive", "on") != "off")


METRICS: tuple[tuple[str, Maker], ...] = (
    (r"first_packet", lambda row: FirstPacket(percentile_of(row))),
    (r"keepalive_rps_change", lambda row: KeptChange()),
    (r"http_rps|request_rate|^rps$", _requests),
    (r"KUBE_SERVICES_chain_length|KUBE_SERVICES_chain_rules", lambda row: RuleCount("KUBE-SERVICES")),
    (r"iptables_rules_total|nat_rules|iptables_rules", lambda row: RuleCount()),
    (r"queries_per_(external_)?lookup", lambda row: QueryCount()),
    (r"qps_max_client|lookups?_per_s", lambda row: QueryRate(per_lookup=True)),
    (r"qps", lambda row: QueryRate()),
    (r"latency_client", lambda row: QueryTime(per_lookup=True)),
    (r"dns_latency|latency_server", lambda row: QueryTime()),
    (r"^memory$|dns_memory", lambda row: Memory()),
    (r"pps_per_core|pps_total|ns_per_packet|packet_rate|drop_rate|cycles_per_packet", _packets),
    (r"cpu_idle", lambda row: IdleShare(function_of(row.setting).family)),
    (r"throughput_per_core", lambda row: Bulk(kind="per-core", calibrates=3, per_core=True)),
    (r"tcp_throughput|tcp_stream|^throughput$|bandwidth|tcp_bandwidth", _bulk),
    (r"udp_throughput|udp_stream|udp_bandwidth", lambda row: Datagrams()),
    (r"http_latency|request_latency", lambda row: RoundTrip(percentile_of(row), family="http")),
    (r"conntrack.*(rate|bound|limit)", lambda row: TableBound()),
    (r"tcp_crr|connect_rate|connections_per_second", lambda row: Connection(percentile=percentile_of(row))),
    (r"(tcp|udp)_rr|rr_rate|round_trip|ping_latency|(tcp|udp)_latency|^latency(_mean|_avg|_p\d+)?$", _round_trip),
    (r"forward_latency", lambda row: ForwardLatency(function_of(row.setting).family)),
    (r"cpu_util|cpu_per_gbps|cpu_per", _cpu),
)
"""Patterns of metric names in order; the first that is found decides."""


def question_of(row: Row) -> Question:
    """Return the question a row asks.

    Raises
    ------
    InputError
        When no pattern knows the metric.
    """
    for pattern, make in METRICS:
        if re.search(pattern, row.metric):
            return make(row)
    raise InputError(
        "no question answers this metric; exclude the row with a reason, or add a class to questions.py",
        place=Place(line=row.line, field="metric"), got=row.metric,
    )  # fmt: skip
