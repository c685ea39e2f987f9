"""What is counted or programmed rather than sent: rows about syncs, objects, policies and single steps."""

from __future__ import annotations

from pathlib import Path

import pytest

from netsim.calibration.published import CaseResult, load_case, validate_case
from netsim.datapath.costs import load_profile

HEADER = "id,metric,configuration,value,unit,role\n"


def run(tmp_path: Path, rows: str, draws: int = 0) -> CaseResult:
    (tmp_path / "published.csv").write_text(HEADER + rows, encoding="utf-8")
    return validate_case(load_case(str(tmp_path)), draws=draws)


def predicted(tmp_path: Path, rows: str) -> dict[str, float]:
    result = run(tmp_path, rows)
    return {point.id: point.predicted for point in (*result.points, *result.trivial)}


def test_a_full_sync_grows_with_what_it_writes_and_nftables_faster(tmp_path: Path) -> None:
    found = predicted(
        tmp_path,
        "a,full_sync_time,proxy=iptables;services=1000;endpoints_per_service=10,1,s,target\n"
        "b,full_sync_time,proxy=iptables;services=4000;endpoints_per_service=10,1,s,target\n"
        "c,full_sync_time,proxy=nftables;services=1000;endpoints_per_service=10,1,s,target\n"
        "d,full_sync_time,proxy=nftables;services=4000;endpoints_per_service=10,1,s,target\n",
    )
    assert 3.8 < found["b"] / found["a"] < 16.0  # a restore goes through a list of chains for each line
    assert found["d"] / found["c"] > 6.0


def test_a_partial_sync_is_cheaper_than_a_full_one(tmp_path: Path) -> None:
    found = predicted(
        tmp_path,
        "on,time_to_add_one_service,proxy=nftables;services_existing=5000;partial_sync=on,1,s,target\n"
        "off,time_to_add_one_service,proxy=nftables;services_existing=5000;partial_sync=off,1,s,target\n",
    )
    assert found["on"] < found["off"] / 10


def test_a_baseline_row_gives_the_delay_and_the_quantiles_follow(tmp_path: Path) -> None:
    rows = (
        "p50,network_programming_duration_p50,proxy=iptables;nodes=1000;min_sync_s=10,8,s,baseline\n"
        "p90,network_programming_duration_p90,proxy=iptables;nodes=1000;min_sync_s=10,20,s,target\n"
        "quick,network_programming_duration_p50,proxy=iptables;nodes=1000;min_sync_s=1,4,s,target\n"
    )
    result = run(tmp_path, rows)
    found = {point.id: point.predicted for point in result.points}
    assert found["quick"] < 8.0 < found["p90"]
    assert [parameter.row for parameter in result.parameters] == ["p50"]


def test_endpoint_slices_send_less_and_a_baseline_scales_them(tmp_path: Path) -> None:
    rows = (
        "size,object_size,api=Endpoints;endpoints=10000,1,MB,baseline\n"
        "all,bytes_per_single_endpoint_update,api=Endpoints;endpoints=10000;nodes=100,100,MB,target\n"
        "slice,bytes_per_single_endpoint_update,api=EndpointSlice;per_slice=100;nodes=100,1,MB,target\n"
    )
    found = predicted(tmp_path, rows)
    assert found["all"] == pytest.approx(100.0)
    assert found["slice"] < found["all"] / 50


@pytest.mark.parametrize(
    ("row", "value"),
    [
        ("x,ovs_flows,from_pods=20;to_pods=30,1,flows,target", 600),
        ("x,policy_map_entries,identities=500,1,entries,target", 1000),
        ("x,mean_latency_added_by_min_sync,proxy=iptables;min_sync_s=4,1,s,target", 2),
        ("x,api_calls_per_refresh,provider=aws;records=900;page_size=300,1,calls,target", 4),
        ("x,records_per_endpoint,provider=aws,1,records,target", 3),
        ("x,endpoint_update_batch_period,nodes=5000,1,ms,target", 500),
        ("x,api_timeout_at_new_node,proxy=ipvs,1,s,target", 30),
    ],
)
def test_counts(tmp_path: Path, row: str, value: float) -> None:
    assert predicted(tmp_path, row + "\n")["x"] == pytest.approx(value)


def test_bounds_are_shown_and_not_scored(tmp_path: Path) -> None:
    result = run(tmp_path, "x,sync_time_lower_bound,proxy=ipvs;services=100,1,s,target\n")
    assert not result.points
    assert result.trivial[0].note == "a bound"


def test_parts_of_cpu_time_are_shares_of_a_whole(tmp_path: Path) -> None:
    components = ("data_copy", "mm", "netdev", "sched", "skb", "tcp/ip", "lock", "etc")
    rows = "".join(
        f"{side}-{part},cpu_share,cni=none;path=host-host;mtu=9000;offload=all;side={side};component={part},10,%,target\n"
        for side in ("sender", "receiver")
        for part in components
    )
    found = predicted(tmp_path, rows)
    for side in ("sender", "receiver"):
        assert sum(found[f"{side}-{part}"] for part in components) == pytest.approx(100.0)
        assert max(components, key=lambda part: found[f"{side}-{part}"]) == "data_copy"


@pytest.mark.parametrize(
    "row",
    [
        "x,cpu_share,cni=none;path=host-host;component=magic,1,%,target",
        "x,nat_rules,proxy=iptables,1,rules,target",
        "x,full_sync_time,proxy=iptables,1,s,target",
        "x,ovs_flows,from_pods=3,1,flows,target",
        "x,tcp_throughput,cni=cilium;policy=L7,1,Gbit/s,target",
        "x,sync_cycle,provider=nobody;records=3,1,s,target",
        "x,agent_cpu,proxy=iptables,1,cores,target",
        "x,agent_cpu,proxy=none;services=10,1,cores,target",
        "x,policy_sync_time,cni=kube-router,1,s,target",
        "x,policy_sync_time,cni=ovn-kubernetes;policies=10;nodes=2,1,s,target",
        "x,rps_change,cni=cilium;keepalive=on,1,%,target",
        "x,lookup_timeout_share,records=A,1,%,target",
    ],
)
def test_rows_that_do_not_say_enough_are_left_out_with_a_reason(tmp_path: Path, row: str) -> None:
    (item,) = run(tmp_path, row + "\n").excluded
    assert item.reason


def test_rules_by_single_commands_take_the_square_of_their_number(tmp_path: Path) -> None:
    rows = "".join(
        f"r{rules},time_to_add_one_rule_set,proxy=iptables;rules={rules},0.002,s,{role}\n"
        for rules, role in ((8, "baseline"), (20000, "target"), (40000, "target"))
    )
    found = predicted(tmp_path, rows)
    assert found["r40000"] / found["r20000"] == pytest.approx(4.0, rel=0.05)


def test_a_proxy_at_rest_keeps_its_collector_busy_and_ipvs_looks_at_it_all_the_time(tmp_path: Path) -> None:
    found = predicted(
        tmp_path,
        "few,kube_proxy_cpu,proxy=iptables;services=1000;endpoints_per_service=4,1,millicores,target\n"
        "many,kube_proxy_cpu,proxy=iptables;services=10000;endpoints_per_service=4,1,millicores,target\n"
        "ipvs,kube_proxy_cpu,proxy=ipvs;services=1000,1,millicores,target\n"
        "ports,kube_proxy_cpu,proxy=ipvs;services_clusterip=1000;services_nodeport=50,1,millicores,target\n"
        "full,kube_proxy_cpu,proxy=ipvs;services=100000,1,% core,target\n",
    )
    assert found["few"] < found["many"] < 10 * found["few"]
    assert found["many"] < found["ipvs"] < found["ports"]
    assert found["full"] == 100.0


def test_policies_restored_at_once_take_a_fraction_of_those_by_commands(tmp_path: Path) -> None:
    found = predicted(
        tmp_path,
        "one,policy_sync_time,cni=kube-router iptables+ipset;nodes=10;pods=300;policies=60,1,s,target\n"
        "more,policy_sync_time,cni=kube-router iptables+ipset;nodes=10;pods=300;policies=120,1,s,target\n"
        "once,policy_sync_time,cni=kube-router iptables-restore;nodes=10;pods=300;policies=60,1,s,target\n",
    )
    assert found["once"] < 1.0 < found["one"] / 5
    assert found["one"] < found["more"]


def test_times_below_a_tools_resolution_are_shares_of_its_first_bucket(tmp_path: Path) -> None:
    pod = "cni=kubenet;path=pod-service-cross-node"
    result = run(
        tmp_path,
        f"a,http_p99,{pod};tool=fortio,1,ms,target\n"
        f"b,in_cluster_network_latency_p90,{pod};resolution=20ms,1,ms,target\n"
        f"c,http_p50,{pod};resolution=1us,1,ms,target\n"
        f"d,http_p50,{pod};resolution=soon,1,ms,target\n",
    )
    assert {point.id: point.predicted for point in result.trivial} == pytest.approx({"a": 0.99, "b": 18.0})
    assert [point.id for point in result.points] == ["c"]
    assert "configuration.resolution" in result.excluded[0].reason


def test_a_long_walks_upper_percentile_is_beyond_the_end_of_the_list(tmp_path: Path) -> None:
    rows = "".join(
        f"p{p},first_packet_rtt_p{p},proxy=iptables;services=30000,500,us,target\n" for p in ("01", "50", "90", "99")
    )
    found = predicted(tmp_path, rows)
    end = 30000 * load_profile("server").prices()["rule.first"] * 1e-3
    assert found["p01"] < 0.1 * end < found["p50"]
    assert 0.45 * end < found["p50"] < 0.6 * end
    assert found["p90"] < 1.1 * end < found["p99"] < 1.9 * end


def test_names_of_syncs_tell_what_is_written(tmp_path: Path) -> None:
    table = "services=10000;endpoints_per_service=2"
    found = predicted(
        tmp_path,
        f"first,initial_sync_time,proxy=nftables;{table},1,s,target\n"
        f"again,restart_sync_time,proxy=nftables;{table},1,s,target\n"
        f"part,partial_sync_time,proxy=nftables;{table},1,s,target\n"
        f"gate,sync_proxy_rules_duration_p50,proxy=iptables;{table};feature=MinimizeIPTablesRestore,1,s,target\n"
        f"off,sync_proxy_rules_duration_p50,proxy=iptables;{table};feature=off,1,s,target\n",
    )
    assert found["part"] < 0.1 * found["first"] < 0.1 * found["again"]
    assert found["gate"] < 0.5 * found["off"]


def test_an_agent_of_programs_rests_and_an_old_ipvs_proxy_does_not(tmp_path: Path) -> None:
    found = predicted(
        tmp_path,
        "programs,agent_cpu,proxy=cilium-ebpf;services=5000,1,millicores,target\n"
        "before,agent_cpu,proxy=ipvs;services=5000;k8s=1.19,1,millicores,target\n"
        "since,agent_cpu,proxy=ipvs;services=5000;k8s=v1.20,1,millicores,target\n",
    )
    assert found["programs"] < found["since"] < found["before"] / 20


def test_entries_of_programs_count_a_pod_behind_many_services_once(tmp_path: Path) -> None:
    found = predicted(
        tmp_path,
        "same,ebpf_map_entries,services=1000;endpoints_per_service=4;pods=4,1,entries,target\n"
        "each,ebpf_map_entries,services=1000;endpoints_per_service=4;pods=4000,1,entries,target\n"
        "ipvs,ipvs_entries,services=1000;endpoints_per_service=4,1,entries,target\n"
        "slices,endpointslices_per_service,endpoints=201,1,slices,target\n",
    )
    assert found == pytest.approx({"same": 6004, "each": 10000, "ipvs": 5000, "slices": 3})


def test_syncs_are_partial_by_release_and_where_many_are_meant(tmp_path: Path) -> None:
    size = "proxy=iptables;services=2000;endpoints_per_service=3"
    found = predicted(
        tmp_path,
        f"full,full_sync_time,{size},1,s,target\nplain,sync_time,{size},1,s,target\n"
        f"old,sync_time,{size};k8s=1.20,1,s,target\nnew,sync_time,{size};k8s=1.30,1,s,target\n"
        f"many,sync_proxy_rules_duration_p50,{size},1,s,target\nonce,sync_proxy_rules_duration_p50,{size};feature=off,1,s,\n"
        f"legacy,full_sync_time,{size};backend=legacy,1,s,target\nagain,time_to_restart,{size},1,s,target\n",
    )
    assert found["full"] == found["plain"] == found["old"] == found["once"] == found["again"]
    assert found["new"] == found["many"] < found["full"] / 5
    assert found["legacy"] < found["full"]


def test_a_proxy_that_reads_requests_costs_most_of_their_rate(tmp_path: Path) -> None:
    case = "cni=cilium;path=pod-pod-cross-node;keepalive=on"
    found = predicted(
        tmp_path,
        f"bare,http_rps,{case},50000,req/s,baseline\nread,http_rps,{case};policy=L7,1,req/s,target\n"
        f"change,rps_change,{case};policy=L7,-80,%,target\nflat,rps_change,{case};policy=L3/L4,-1,%,target\n",
    )
    assert found["read"] < 50000 / 2
    assert found["change"] == pytest.approx(100 * (found["read"] / 50000 - 1), rel=0.01)
    assert abs(found["flat"]) < 0.01
