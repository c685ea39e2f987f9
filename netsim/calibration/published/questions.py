"""Which question a metric asks. Metrics are read by name; a new kind of metric is one class and one line here."""

from __future__ import annotations

import re
from collections.abc import Callable
from difflib import get_close_matches
from functools import partial

from netsim.calibration.published import agents, counted, lookups, policing, syncing
from netsim.calibration.published.balancing import Balanced, BalancerIdle
from netsim.calibration.published.bench import Bench
from netsim.calibration.published.bulk import Bulk, Flows
from netsim.calibration.published.case import Row
from netsim.calibration.published.changes import Change
from netsim.calibration.published.counted import Counted, Rule
from netsim.calibration.published.dns_memory import Memory
from netsim.calibration.published.filtering import Accepted, Traversal
from netsim.calibration.published.lateness import Late
from netsim.calibration.published.lookups import LookupDelay, LookupTime
from netsim.calibration.published.naming import Lost, QueryCount, QueryCpu, QueryRate, QueryTime
from netsim.calibration.published.packets import FloodedRoundTrip, ForwardLatency, IdleShare, PacketRate, function_of
from netsim.calibration.published.policies import reads_requests
from netsim.calibration.published.quantities import Dimension
from netsim.calibration.published.question import Question
from netsim.calibration.published.readout import RequestTime
from netsim.calibration.published.services import (
    TABLE_SIZES,
    FirstPacket,
    KeptChange,
    Requests,
    RuleCount,
    TableBound,
    percentile_of,
    stated_percentile,
)
from netsim.calibration.published.setting import Setting
from netsim.calibration.published.shares import CpuShare
from netsim.calibration.published.steady import rate_of
from netsim.calibration.published.transport import Connect, Connection, Datagrams, HostCpu, RoundTrip, protocol
from netsim.errors import InputError, Place

Maker = Callable[[Row], Question]


def _bulk(row: Row) -> Question:
    return Flows() if row.setting.streams > 1 else Bulk()


ACCEPTED: tuple[tuple[type, tuple[Dimension, ...]], ...] = (
    (Bulk, ("bit_rate",)), (Datagrams, ("bit_rate", "rate")), (RoundTrip, ("time", "rate")), (FirstPacket, ("time",)),
    (HostCpu, ("cpu", "cores", "share")), (Requests, ("rate",)), (TableBound, ("rate",)), (QueryRate, ("rate",)),
    (QueryTime, ("time",)), (Memory, ("bytes",)), (IdleShare, ("share",)), (ForwardLatency, ("time",)),
    (PacketRate, ("rate", "time", "count")), (LookupDelay, ("time",)), (LookupTime, ("time",)), (Late, ("time",)),
    (QueryCpu, ("cores", "share")), (Change, ("share",)),
)  # fmt: skip
"""What may be measured of a kind of metric: a unit that counts something else is refused, not compared."""
TESTS = {"tcp_stream": "bulk", "stream": "bulk", "tcp_rr": "round-trip", "rr": "round-trip", "tcp_crr": "connection",
         "crr": "connection"}  # fmt: skip


def _cpu(row: Row) -> Question:
    if "qps" in row.setting:
        return QueryCpu()
    stated = row.setting.text("test").lower()
    test = TESTS.get(stated, "")
    if stated and not test:
        raise InputError("no question answers CPU time of this test", place=Place(field="configuration.test"),
                         got=stated, allowed=", ".join(TESTS))  # fmt: skip
    if not test:
        unit = row.quantity.unit.lower()
        test = "bulk" if re.search(r"bit|byte|[kmg]i?b\b", unit) else "connection" if "conn" in unit else "round-trip"
    side = row.setting.text("side") or f"{row.quantity.unit} {row.metric}".lower()
    return HostCpu(test, "server" if re.search(r"server|receiver", side) else "client")


def _round_trip(row: Row) -> Question:
    if any(key in row.setting for key in ("autopath", "cache", "ndots", "server")):
        return _query_time(row)
    if "background_udp_mpps" in row.setting:
        return FloodedRoundTrip()
    if rate_of(row.setting):
        return RequestTime(percentile_of(row))
    return RoundTrip(percentile=percentile_of(row), protocol=protocol(row))


def _query_time(row: Row) -> Question:
    """Return the question for a query at a saturated server, or at a steady rate where the row states one."""
    if "qps" in row.setting:
        return LookupTime(stated_percentile(row))
    return QueryTime(percentile=_highest(row) or stated_percentile(row))


def _accepted(row: Row) -> Question:
    """Return the question for a rate, or for what a stated time adds up to (``…_in_30s``)."""
    counted = re.search(r"_in_(\d+)s", row.metric)
    return Accepted(float(counted[1]) if counted else 1.0)


def _highest(row: Row) -> float | None:
    """Return the share that the largest of so many stands for, where a row is about the largest."""
    return 1 - 1 / max(2.0, row.setting.number("queries", 1e5)) if "max" in row.metric else None


def _lookup_delay(row: Row) -> Question:
    if re.search("worst|timeout", row.metric):
        return LookupDelay("all")
    return LookupDelay("one of each pair" if "max" in row.metric else "one")


def _unanswered(row: Row) -> Question:
    raise InputError(
        "no question answers this metric; exclude the row with a reason, or add a class to questions.py",
        place=Place(line=row.line, field="metric"), got=row.metric,
    )  # fmt: skip


def _part_of_cpu(row: Row) -> Question:
    raise InputError("the model tells the CPU time of a host's network work apart by no kind of time",
                     place=Place(line=row.line, field="metric"), got=row.metric)  # fmt: skip


def _packets(row: Row) -> Question:
    """Return the question for a filter, datagrams between programs, or packets on a way that ends before one."""
    if "filter" in row.setting and "function" not in row.setting:
        through = re.search("forward", f"{row.metric} {row.setting.text('chain')} {row.setting.text('path')}".lower())
        return Balanced("filter-forward" if through else "filter")
    if "function" not in row.setting and re.search(r"pod|container|host|service", row.setting.text("path").lower()):
        return Datagrams()
    return PacketRate(function_of(row.setting).family)


def _idle(row: Row) -> Question:
    balancer = "proxy" in row.setting and "function" not in row.setting
    return BalancerIdle() if balancer else IdleShare(function_of(row.setting).family)


def _dropped(row: Row) -> Question:
    return Balanced("filter") if "filter" in row.setting else _packets(row)


def _requests(row: Row) -> Question:
    if row.quantity.dimension == "bit_rate":
        return _bulk(row)
    return Requests(keepalive=row.setting.text("keepalive", "on") != "off")


def _counted(kind: str, rule: Rule, *, scaled: bool = False, set: bool = False) -> Maker:
    return lambda row: Counted(kind, rule, scaled, bool(re.search(r"upper|lower|bound", row.metric)), set)


def _change(row: Row) -> Question:
    """Return the question for a relative change of requests, connections, times or streams."""
    name = row.metric.lower()
    if re.search("rps|request|http|qps", name):
        return Change(Requests(keepalive=row.setting.text("keepalive", "on") != "off"), "rate")
    if re.search("crr|connection|conn_", name):
        return Change(Connection(), "rate")
    if re.search("latency|rtt|round_trip|_rr", name):
        return Change(RoundTrip(), "time")
    return Change(_bulk(row), "bit_rate") if re.search("throughput|bandwidth|goodput", name) else _unanswered(row)


def _rule_set(row: Row) -> Question:
    """Return the question for a Service's rules: a call for each in proxies of old, one write in other modes."""
    if re.search("ipvs|nft|bpf|cilium", row.setting.text("proxy").lower()):
        return _counted("one-change", syncing.one_change)(row)
    return _counted("commands", syncing.sync_by_commands, scaled=True)(row)


def _restore(row: Row) -> Question:
    part = next((part for part in ("user", "sys") if part in row.metric), "")

    def rule(bench: Bench, setting: Setting) -> float:
        user = bench.figure("tool.user_share")
        return syncing.restore(bench, setting) * {"user": user, "sys": 1 - user}.get(part, 1.0)

    return Counted("restore", rule)


_WHICH = (
    r"(worst|later|full|first|initial|cold|startup|restart|kube_proxy|proxy|iptables|ipvs|nftables|nft|rules?|services?"
    r"|time_to)_"
)
_SYNC = r"(re)?sync|(re)?sync_?proxy_?rules|restart"


def _sync(row: Row) -> Question:
    """Everything is written, unless the release writes changes alone and the name says nothing of a start."""
    if "userspace" in row.setting.text("proxy"):
        return _counted("commands", syncing.sync_by_commands, scaled=True)(row)
    if re.search(r"full|first|initial|cold|start|worst", row.metric):
        again = re.search("restart|worst", row.metric) is not None
        return _counted("full-sync", partial(syncing.full_sync, again=again))(row)
    ordinary = stated_percentile(row) is not None or re.search("mean|avg|average", row.metric) is not None
    return _counted("one-change" if syncing.writes_changes(row.setting) else "full-sync",
                    partial(syncing.sync, ordinary=ordinary))(row)  # fmt: skip


_STATISTIC = r"mean|avg|average|median|tail|min|max|stddev|jitter|p\d+(\.\d+)?|\d+(\.\d+)?th|percentile|us|usec|ms"
_RELATIVE = r"_added|added_|overhead|_ratio|slowdown|relative|reduction|degradation|(put|rate)_loss|per_(service|rule)$"
_TIMED = r"latency|rtt|lat|ping|icmp|round_trip(_time)?|one_way"
"""Names of times that say nothing else than that a packet goes and comes."""
METRICS: tuple[tuple[str, Maker], ...] = (
    (r"network_programming", lambda row: Late(percentile_of(row))),
    (r"added_by_min_sync", _counted("pace", syncing.added_by_pace)),
    (r"iptables_restore", _restore),
    (r"xtables_lock_wait", _counted("lock", syncing.lock_limit)),
    (r"endpoints_at_restore_lock", _counted("lock-size", syncing.endpoints_at_the_lock)),
    (r"commands_per_sync", _counted("calls", syncing.calls_before_restore)),
    (r"time_to_program_all", _counted("program-all", syncing.program_all)),
    (r"time_to_add_one_service|(incremental|partial)_sync", _counted("one-change", syncing.one_change)),
    (r"time_to_add_one_proxy|single_iptables_command", _counted("commands", syncing.add_rules, scaled=True)),
    (rf"^({_WHICH})*({_SYNC})(_(time|duration|latency)|$)", _sync),
    (r"time_to_add_one_rule_set", _rule_set),
    (r"time_to_add_(one|a)_rule", _counted("commands", syncing.add_rules, scaled=True)),
    (r"nft_list|list_ruleset", _counted("listing", syncing.listing)),
    (r"iptables_save_lines", lambda row: RuleCount()),
    (r"ipvs_(entries|servers|rules)", _counted("ipvs-entries", counted.ipvs_entries)),
    (r"(e?bpf|lb|cilium)_(lb_|service_)?map_entries", _counted("service-entries", counted.service_entries)),
    (r"(endpoint_?)?slices(_per_service)?$|number_of_slices", _counted("slices", counted.slices)),
    (r"to_exceed_batch|to_fill_batch", _counted("names-of-a-batch", counted.names_of_a_batch)),
    (r"kube_proxy_cpu|agent_cpu", _counted("proxy-cpu", agents.cpu_at_rest)),
    (r"endpoint_update_latency", _counted("update-latency", agents.update_latency)),
    (r"ipt_do_table|rule_traversal|(rules?|iptables|nft)_(match|walk|traversal|lookup)", lambda row: Traversal()),
    (r"share_of_filtering", _unanswered),  # of a CPU whose other work no row states
    (r"connections_accepted|accept_rate", _accepted),
    (r"policy_sync_time", _counted("policy-sync", policing.policy_sync)),
    (r"api_timeout", _counted("dial", agents.dial_limit, set=True)),
    (r"update_batch_period", _counted("batch", agents.batch_period, set=True)),
    (r"kube_proxy_memory|agent_memory", _counted("proxy-memory", syncing.memory)),
    (r"ovs_flows|policy_flows", _counted("flows", counted.flows)),
    (r"policy_map_entries", _counted("map-entries", counted.map_entries)),
    (r"^object_size", _counted("object-bytes", counted.object_bytes)),
    (r"bytes_per_(single_endpoint_)?update", _counted("update-bytes", counted.update_bytes)),
    (r"bytes_per_rolling_update", _counted("rollout-bytes", counted.rollout_bytes)),
    (r"bytes_to_create_service", _counted("creation-bytes", counted.creation_bytes)),
    (r"^sync_cycle", _counted("sync-cycle", counted.sync_cycle, scaled=True)),
    (r"api_calls_per_min", _counted("calls-per-minute", counted.calls_per_minute)),
    (r"api_calls_per_refresh", _counted("calls-per-refresh", counted.calls_per_refresh)),
    (r"records_per_endpoint", _counted("records", counted.records_each)),
    (r"time_until_record_visible", _counted("record-lag", counted.visible_after)),
    (r"(?<!keepalive_rps)_change$", _change),
    (rf"(?<!cpu_)({_RELATIVE})", _unanswered),  # differences and quotients of two figures: the figures are predicted
    (r"first_packet", lambda row: FirstPacket(percentile_of(row))),
    (
        r"connect(ion)?_(set_?up|establish\w*|open\w*)|(tcp_)?(connect|handshake|syn)_(latency|time|duration|delay|us|ms|p\d)"
        r"|time_(to_)?connect",
        lambda row: Connect(percentile=percentile_of(row)),
    ),
    (r"keepalive_rps_change", lambda row: KeptChange()),
    (
        r"http_(latency|time|p\d|mean)|request_latency|response_time|cluster_network_latency",
        lambda row: RequestTime(percentile_of(row)),
    ),
    (r"http_|nginx|wrk|request_rate|requests_per_s|^rps$", _requests),
    (r"kube_services_chain_length|kube_services_chain_rules", lambda row: RuleCount("KUBE-SERVICES")),
    (r"^nat_rules", lambda row: RuleCount(tables=("nat",))),
    (r"iptables_rules_total|iptables_rules", lambda row: RuleCount()),
    (r"(wasted|extra|unnecessary|failed|nxdomain|useless)_quer", lambda row: QueryCount(wasted=True)),
    (r"queries_per_(external_)?(lookup|name)", lambda row: QueryCount()),
    (r"(qps|query|lookups?|api_rate)_(limit|quota)", _unanswered),  # a provider's
    (r"qps_max_client|lookups?_per_s", lambda row: QueryRate(per_lookup=True)),
    (r"qps|queries_per_s|query_rate", lambda row: QueryRate(per_core=bool(re.search("per_(v?cpu|core)", row.metric)))),
    (r"latency_client", lambda row: QueryTime(per_lookup=True)),
    (r"dns_latency|latency_server", _query_time),
    (r"^memory$|^memory_formula|dns_memory", lambda row: Memory()),
    (r"queries_lost", lambda row: Lost()),
    (r"lookup_(delay|timeout)", _lookup_delay),
    (r"connection_delay", _counted("connection-delay", lookups.connection_delay)),
    (r"lookup_latency", lambda row: LookupTime()),
    (r"forwarded_packet_rate", lambda row: Balanced()),
    (r"^drop_rate", _dropped),
    (r"pps|ns_per_packet|packet_rate|packets_per_s|(drop|forward(ing)?)_rate|cycles_per_packet", _packets),
    (r"ns_per_call|context_switch|wakeup_round_trip", _packets),
    (r"cpu_idle", _idle),
    (r"throughput_per_core", lambda row: Bulk(kind="per-core", calibrates=3, per_core=True)),
    (r"conntrack.*(rate|bound|limit)", lambda row: TableBound()),
    (r"(softirq|system|sys|user|kernel)_?cpu|cpu_?(softirq|system|sys|user)", _part_of_cpu),
    (r"^cpu_share$", lambda row: CpuShare()),
    (r"(dns|coredns|unbound)_cpu", lambda row: QueryCpu()),
    (r"^((client|server|sender|receiver|host|machine|total)_)?cpu(_|$)|service_demand", _cpu),
    (
        r"tcp_crr|crr_|^crr$|connect_rate|connections_per_s|conn(ection)?_rate|^cps$",
        lambda row: TableBound() if any(key in row.setting for key in TABLE_SIZES) else Connection(percentile_of(row)),
    ),
    (r"(tcp|udp)_rr|rr_rate|rr_latency|^rr$|^transactions$|transaction(_rate|s_per_s)", _round_trip),
    (r"(^|_)(scp|sftp|ssh|rsync)(_|$)", _unanswered),  # what encrypts
    (r"udp_(throughput|stream|bandwidth|bw|goodput)", lambda row: Datagrams()),
    (r"throughput|bandwidth|goodput|tcp_(stream|bw)|transfer_rate", _bulk),
    (r"forward_latency", lambda row: ForwardLatency(function_of(row.setting).family)),
    (r"lookup|dns|quer|polic|convergence|start|sync|connect", _unanswered),
    (rf"^((tcp|udp|netperf|sockperf|qperf|{_STATISTIC}|{_TIMED})(_|$))+$", _round_trip),
)
"""Patterns of metric names in order; the first that is found decides."""


UNLIKE_A_SAMPLE = re.compile(r"(^|_)(min|max|minimum|maximum|stddev|std|sd|jitter|variance|cv)(_|$)")
"""What rows state of times beside means and percentiles."""


def question_of(row: Row) -> Question:
    """Return the question a row asks.

    Raises
    ------
    InputError
        When no pattern knows the metric.
    """
    name = re.sub(r"[^a-z0-9.]+", "_", row.metric.lower()).strip("_")
    for pattern, make in METRICS:
        if re.search(pattern, name):
            question = make(row)
            _check(question, row, name)
            return question
    return _unanswered(row)


NUMBERS = (
    "attempts", "background_udp_mpps", "burst", "connections", "endpoints", "endpoints_per_service", "flows",
    "interval", "lines", "listen_sockets", "msg_bytes", "mss", "mtu", "ndots", "nodes", "offered_mpps", "outstanding",
    "parallel", "parallelism", "pods", "processes", "queries", "replicas", "search", "services", "streams",
    "timeout_s", "vcpu",
)  # fmt: skip
"""Keys that are numbers, whoever asks for them."""
OTHERS = (
    "cache", "conntrack", "cores", "encapsulation", "function", "keepalive", "kernel", "offload", "path", "percentile",
    "policy", "protocol", "proxy", "query", "rules", "server", "side", "test", "tool",
)  # fmt: skip


def perhaps(key: str) -> str:
    """Return a key that nobody asked for with the one that may be meant, if one is spelled nearly the same."""
    near = get_close_matches(key, (*NUMBERS, *OTHERS), n=1, cutoff=0.75)
    return f"{key} ({near[0]}?)" if near and near[0] != key else key
AT_LEAST_ONE = ("connections", "flows", "interval", "listen_sockets", "mss", "parallel", "parallelism", "processes",
                "queries", "replicas", "streams", "timeout_s", "vcpu")  # fmt: skip


def _check(question: Question, row: Row, name: str) -> None:
    asked = question.of if isinstance(question, Change) else question
    if reads_requests(row.setting) and not isinstance(asked, Requests):
        raise InputError("what a proxy that reads requests does is only known of their rate", got=row.metric,
                         place=Place(line=row.line, field="metric"))  # fmt: skip
    for key in NUMBERS:
        number = Setting({key: row.setting.values[key]}).number(key, 1.0) if key in row.setting.values else 1.0
        if number < 0 or (number == 0 and key in AT_LEAST_ONE):
            raise InputError("no such number is possible", got=f"{number:g}",
                             place=Place(line=row.line, field=f"configuration.{key}"))  # fmt: skip
    timed = isinstance(question, (RoundTrip, Connection, FirstPacket)) and row.quantity.dimension == "time"
    if timed and UNLIKE_A_SAMPLE.search(name):
        raise InputError("of times the model predicts means and percentiles", got=row.metric,
                         place=Place(line=row.line, field="metric"))  # fmt: skip
    accepted = next((dimensions for kind, dimensions in ACCEPTED if isinstance(question, kind)), ())
    if accepted and row.quantity.dimension not in accepted:
        raise InputError(
            f"the unit of {row.metric} does not say a {' or '.join(item.replace('_', ' ') for item in accepted)}",
            place=Place(line=row.line, field="unit"), got=row.quantity.unit,
        )  # fmt: skip
