"""DNS servers in published rows: what a query costs by server, cache, limit and search path."""

from __future__ import annotations

from pathlib import Path

import pytest

from netsim.calibration.published.case import load_case
from netsim.calibration.published.validation import CaseResult, validate_case

HEADER = "id,metric,configuration,value,unit,role\n"


def run(folder: Path, rows: str) -> CaseResult:
    (folder / "published.csv").write_text(HEADER + rows, encoding="utf-8")
    return validate_case(load_case(str(folder)), draws=0)


def predicted(folder: Path, *configurations: str) -> list[float]:
    rows = "".join(f"r{n},qps,{text},1,query/s,target\n" for n, text in enumerate(configurations))
    return [point.predicted for point in run(folder, rows).points]


def test_a_limit_and_replicas_scale_what_a_server_answers(tmp_path: Path) -> None:
    one, limited, three = predicted(
        tmp_path, "server=CoreDNS;cores=1", "server=CoreDNS;cores=2;cpu=50m", "server=CoreDNS;cores=1;replicas=3"
    )
    assert limited == pytest.approx(one / 20)
    assert three == pytest.approx(3 * one)


def test_servers_differ_and_forwarding_costs(tmp_path: Path) -> None:
    go, native, missed = predicted(
        tmp_path, "server=CoreDNS;cores=1", "server=Unbound;cores=1", "server=Unbound;cores=1;cache=off"
    )
    assert go < missed < native


def test_recursors_answer_all_that_wait_for_one_name_by_one_exchange(tmp_path: Path) -> None:
    off = ("single service", "NXDOMAIN", "multiple services")
    settings = ["server=Unbound", *(f"server=Unbound;cache=off;query={query}" for query in off)]
    settings += [f"server=CoreDNS;cache=off;query={query}" for query in (off[0], off[2])]
    cached, one, none, many, go_one, go_many = predicted(tmp_path, *settings)
    assert one == none == pytest.approx(cached, rel=0.02)
    assert many < 0.7 * one
    assert go_one == go_many


def test_a_server_that_follows_the_search_path_looks_up_every_name(tmp_path: Path) -> None:
    plain, followed, longer, inside = predicted(
        tmp_path, "cores=1;autopath=off", "cores=1;autopath=on", "cores=1;autopath=on;search=6",
        "cores=1;autopath=on;name=internal",
    )
    assert longer < followed < plain
    assert inside == plain


def test_a_server_without_a_price_is_excluded_with_the_reason(tmp_path: Path) -> None:
    result = run(tmp_path, "a,qps,server=PowerDNS,1,query/s,target\nb,qps,server=CoreDNS,1,query/s,target\n")
    assert [point.id for point in result.points] == ["b"]
    assert "no price for this DNS server" in result.excluded[0].reason


def test_an_environment_may_state_the_limit(tmp_path: Path) -> None:
    (tmp_path / "published.csv").write_text(
        "id,metric,configuration,value,unit,role,environment\n"
        "a,qps,server=CoreDNS,1,query/s,target,2 nodes of 1 core\n"
        'b,qps,server=CoreDNS,1,query/s,target,"2 nodes of 1 core, cache limited to 50m CPU"\n',
        encoding="utf-8",
    )
    whole, limited = (point.predicted for point in validate_case(load_case(str(tmp_path)), draws=0).points)
    assert limited < whole / 10


@pytest.mark.parametrize(
    ("row", "value"),
    [
        ("worst_lookup_timeout,attempts=3;timeout_s=5,1,s", 30.0),  # a name of the list, and the name as it is
        ("worst_lookup_timeout,attempts=2;timeout_s=4,1,s", 16.0),
        ("lookup_delay,records=A+AAAA,1,s", 5.0),
        ("lookup_delay_max,records=A+AAAA,1,s", 15.0),  # together, one after the other, from a socket each
        ("lookup_delay,resolver=musl,1,s", 2.5),
    ],
)
def test_lost_queries_hold_a_lookup_up_for_the_resolvers_timers(tmp_path: Path, row: str, value: float) -> None:
    (point,) = run(tmp_path, f"a,{row},target\n").points
    assert point.predicted == pytest.approx(value)


def test_a_bound_of_a_connections_delay_is_shown(tmp_path: Path) -> None:
    (point,) = run(tmp_path, "a,connection_delay_lower,cause=race,1,s,target\n").trivial
    assert point.predicted == 1.0


def test_times_at_saturation_follow_from_the_rate_and_the_queries_on_their_way(tmp_path: Path) -> None:
    rate = "r,qps,server=kube-dns;cache=off,10000,query/s,baseline\n"
    asked = (
        "m,latency_mean,server=kube-dns;cache=off,10,ms,target\n"
        "few,latency_mean,server=kube-dns;cache=off;outstanding=20,2,ms,target\n"
        "p50,latency_p50,server=kube-dns;cache=off,10,ms,target\n"
        "p99,latency_p99,server=kube-dns;cache=off,10,ms,target\n"
        "all,latency_max,server=kube-dns;cache=off;queries=100000,10,ms,target\n"
    )
    found = {point.id: point.predicted for point in run(tmp_path, rate + asked).points}
    assert found["m"] == pytest.approx(10.0)
    assert found["few"] == pytest.approx(2.0)
    assert found["p50"] < found["m"] < found["p99"] < found["all"]


def test_a_generator_loses_nothing_until_a_sockets_buffer_is_full(tmp_path: Path) -> None:
    rows = "a,queries_lost,server=kube-dns,0,count,target\n"
    result = run(tmp_path, rows + "b,queries_lost,server=kube-dns;outstanding=1000,0,count,target\n")
    assert [point.id for point in result.trivial] == ["a"]
    assert result.points[0].predicted > 500


def test_the_server_behind_a_cache_answers_what_is_not_in_it(tmp_path: Path) -> None:
    hit, miss, go = predicted(
        tmp_path, "server=kube-dns;cache=hit;cores=1", "server=kube-dns;cache=miss;cores=1", "server=CoreDNS;cores=1"
    )
    assert miss < go < hit


def test_sockets_for_each_exchange_and_shared_sockets_cost(tmp_path: Path) -> None:
    kept, new, own, shared = predicted(
        tmp_path, "cores=1;plugin=forward;upstream_sockets=persistent",
        "cores=1;plugin=forward;upstream_sockets=new each",
        "listen_sockets=5", "listen_sockets=5;after=reload",
    )  # fmt: skip
    assert new < kept
    assert shared < own


def test_a_full_cache_takes_memory_and_an_empty_server_is_the_baseline_again(tmp_path: Path) -> None:
    rows = (
        "b,memory,pods_plus_services=0,20,MB,baseline\n"
        "again,memory,pods_plus_services=0;autopath=on,20,MB,target\n"
        "full,memory,pods_plus_services=0;cache=full,40,MB,target\n"
    )
    result = run(tmp_path, rows)
    assert [(point.id, point.predicted) for point in result.trivial] == [("again", 20.0)]
    assert 25 < result.points[0].predicted < 60


def test_a_nodes_own_cache_is_nearer_than_the_service(tmp_path: Path) -> None:
    rows = (
        "near,lookup_latency,path=NodeLocal DNSCache,1,ms,target\nfar,lookup_latency,path=CoreDNS service,1,ms,target\n"
    )
    near, far = run(tmp_path, rows).points
    assert near.predicted < far.predicted


def test_one_thread_bounds_servers_on_many_processors(tmp_path: Path) -> None:
    one, many = predicted(tmp_path, "server=dnsmasq;cores=1", "server=dnsmasq;cores=16")
    assert many == pytest.approx(one)
    alone, eight, sockets = predicted(
        tmp_path, "server=CoreDNS;cores=1", "server=CoreDNS;cores=32", "server=CoreDNS;cores=32;listen_sockets=4"
    )
    assert alone < eight < sockets
    assert eight < 16 * alone  # the reader of its only socket


@pytest.mark.parametrize(("key", "value"), [("vcpu", "0"), ("cores", "0"), ("cpu", "0m"), ("replicas", "0")])
def test_servers_of_nothing_are_refused(tmp_path: Path, key: str, value: str) -> None:
    (refused,) = run(tmp_path, f"a,qps,server=CoreDNS;{key}={value},1,query/s,target\n").excluded
    assert f"configuration.{key}" in refused.reason


def test_names_of_the_cluster_waste_as_many_queries_as_they_are_short_of(tmp_path: Path) -> None:
    names = ("svc", "svc.ns", "svc.ns.svc", "FQDN without dot", "FQDN with trailing dot")
    rows = "".join(f"r{n},wasted_queries,name={name};records=A,1,queries,target\n" for n, name in enumerate(names))
    assert [point.predicted for point in run(tmp_path, rows).points] == [0, 1, 2, 3, 0]


def test_a_steady_rate_of_queries_keeps_processors_busy(tmp_path: Path) -> None:
    rows = (
        "few,coredns_cpu,server=coredns;qps=1000,1,cores,target\nmany,coredns_cpu,server=coredns;qps=9000,1,cores,target\n"
        "core,qps_per_core,server=coredns,1,query/s,target\n"
    )
    few, many, core = (point.predicted for point in run(tmp_path, rows).points)
    assert many == pytest.approx(9 * few)
    assert core == pytest.approx(1000 / few)


def test_memory_is_of_services_their_endpoints_and_watched_pods(tmp_path: Path) -> None:
    rows = "".join(
        f"{name},memory,{text},1,MB,target\n"
        for name, text in (
            ("nodes", "pods_plus_services=15820"), ("same", "pods=15000;services=820"),
            ("few", "pods=15000;services=1"),
            ("stated", "services=820;endpoints=7500"), ("pods", "pods_plus_services=15820;autopath=on"),
        )
    )  # fmt: skip
    found = {point.id: point.predicted for point in run(tmp_path, rows).points}
    assert found["nodes"] == pytest.approx(found["same"], rel=1e-3)  # 500 nodes of the scalability tests
    assert found["same"] == pytest.approx(found["stated"])
    assert found["few"] < found["same"] < found["pods"]


def test_queries_at_a_steady_rate_wait_for_each_other_below_saturation(tmp_path: Path) -> None:
    size = "server=coredns;cache=hit;vcpu=2"
    rows = "".join(
        f"{name},{metric},{size};{rate},1,us,target\n"
        for name, metric, rate in (
            ("idle", "latency_mean", "qps=10"), ("busy", "latency_mean", "qps=28000"),
            ("tail", "latency_p99", "qps=28000"), ("full", "latency_mean", "records=A"),
            ("over", "latency_mean", "qps=90000"),
        )
    )  # fmt: skip
    result = run(tmp_path, rows)
    found = {point.id: point.predicted for point in result.points}
    assert found["idle"] < found["busy"] < found["tail"]
    assert found["idle"] < found["full"]
    assert [item.id for item in result.excluded] == ["over"]
