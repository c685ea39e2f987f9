"""What is counted or programmed rather than sent: rows about syncs, objects, policies and single steps."""

from __future__ import annotations

from pathlib import Path

import pytest

from netsim.calibration.published import CaseResult, load_case, validate_case

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
    assert found["b"] / found["a"] == pytest.approx(3.8, rel=0.05)  # the jumps are made sure of once
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
    ],
)
def test_rows_that_do_not_say_enough_are_left_out_with_a_reason(tmp_path: Path, row: str) -> None:
    (item,) = run(tmp_path, row + "\n").excluded
    assert item.reason
