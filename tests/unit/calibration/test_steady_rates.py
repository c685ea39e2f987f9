"""What surrounds a measured unit: other requests at a steady rate, a program's calls, clocks and sleep."""

from __future__ import annotations

from pathlib import Path

import pytest

from netsim.calibration.published import CaseResult, load_case, validate_case
from netsim.calibration.published.hardware import described
from netsim.calibration.published.setting import Setting
from netsim.calibration.published.subject import subject_of

HEADER = "id,metric,configuration,value,unit,role\n"
BARE, POD = "cni=none;path=host-host", "cni=flannel-vxlan;path=pod-pod-cross-node"


def run(tmp_path: Path, *rows: str, case: str = "") -> CaseResult:
    text = HEADER + "".join(f"r{index},{row}\n" for index, row in enumerate(rows))
    (tmp_path / "published.csv").write_text(text, encoding="utf-8")
    if case:
        (tmp_path / "case.yaml").write_text(case, encoding="utf-8")
    return validate_case(load_case(str(tmp_path)), draws=0)


def times(tmp_path: Path, keys: str, percentile: str = "p95", bare: float = 0.5, more: str = "") -> float:
    """Return the predicted milliseconds behind a tunnel where the bare pair takes ``bare``."""
    rows = [f"http_latency_{percentile},{{}};{keys},{bare},ms,{{}}".format(cni, role)
            for cni, role in ((BARE, "baseline"), (POD, "target"))]  # fmt: skip
    result = run(tmp_path, *rows, *([more] if more else []))
    return result.points[0].predicted


def test_requests_wait_for_each_other_the_longer_the_more_there_are(tmp_path: Path) -> None:
    alone = times(tmp_path, "keepalive=on")
    some, many = (times(tmp_path, f"keepalive=on;requests_per_second={rate}") for rate in ("10k", "600k"))
    assert 0.5 < alone < 0.55
    assert 1.2 * alone < some < many


def test_a_program_that_decides_leaves_nothing_to_wait_for(tmp_path: Path) -> None:
    slow = f"http_rps,{BARE};keepalive=on,4000,req/s,baseline"
    busy, alone = times(tmp_path, "keepalive=on;rps=1000", more=slow), times(tmp_path, "keepalive=on")
    assert busy == pytest.approx(alone, rel=0.03)


def test_a_node_without_time_left_is_told_as_nearly_full(tmp_path: Path) -> None:
    assert times(tmp_path, "keepalive=on;rps=50M") < 2.0


def test_pauses_of_hosts_last_as_long_behind_any_plugin(tmp_path: Path) -> None:
    keys = "keepalive=on;rps=100000"
    low = f"http_latency_p95,{BARE};{keys},0.5,ms,baseline"
    paused = times(tmp_path, keys, percentile="p99.99", bare=5.0, more=low)
    queued = times(tmp_path, keys, percentile="p99.99", bare=5.0)
    assert 5.0 < paused < queued


def test_a_latency_at_a_rate_is_one_of_requests(tmp_path: Path) -> None:
    rows = [f"latency_p99,{cni};rps=100000,0.6,ms,{role}" for cni, role in ((BARE, "baseline"), (POD, "target"))]
    (point,) = run(tmp_path, *rows).points
    assert point.predicted > 0.7


def test_setting_a_connection_up_walks_the_list_of_services(tmp_path: Path) -> None:
    keys = "cni=kubenet;proxy=iptables;path=pod-service-cross-node;services="
    rows = [f"{metric},{keys}{count},100,us,{role}" for metric, count, role in (
        ("connection_setup_time", 4, "baseline"), ("connect_latency", 1000, "target"),
        ("tcp_connect_time", 4, "target"))]  # fmt: skip
    many, few = run(tmp_path, *rows).points
    assert few.predicted == pytest.approx(100)
    assert 8 < many.predicted - few.predicted < 60


def test_small_messages_do_not_inherit_what_large_ones_take(tmp_path: Path) -> None:
    sizes = ((1 << 20, "baseline"), (4096, "target"), (64, "target"))
    rows = [f"tcp_throughput,{BARE};msg_bytes={size},1.2,Gbit/s,{role}" for size, role in sizes]
    page, small = run(tmp_path, *rows, case="hardware: {description: 3.0 GHz}").points
    assert page.predicted > 1.0
    assert small.predicted > 0.25


def test_a_busy_core_does_not_run_at_the_clock_of_a_light_load(tmp_path: Path) -> None:
    def rate(round_trips: int, hardware: str) -> float:
        result = run(tmp_path, f"tcp_rr_rate,{BARE},{round_trips},tps,baseline",
                     f"tcp_throughput,{POD};msg_bytes=1024,1,Gbit/s,target",
                     case=f"hardware: {{description: '{hardware}', nic: 100Gbit/s}}")  # fmt: skip
        return result.points[0].predicted

    sleeping, slower = rate(6_000, "hosts"), rate(3_000, "hosts")
    assert sleeping == pytest.approx(slower)
    assert sleeping < rate(45_000, "hosts") < 2 * sleeping


def waits(tmp_path: Path, description: str, *rows: str) -> float:
    target = f"tcp_rr_latency,{POD},50,us,target"
    return run(tmp_path, target, *rows, case=f"hardware: {{description: '{description}'}}").points[0].predicted


def test_hosts_that_nobody_describes_may_sleep(tmp_path: Path) -> None:
    tuned = waits(tmp_path, "3.0 GHz, performance governor")
    assert waits(tmp_path, "3.0 GHz") > tuned + 10
    assert waits(tmp_path, "3.0 GHz, untuned") > tuned + 10
    assert waits(tmp_path, "3.0 GHz, tuned for low latency") == pytest.approx(tuned)


def test_a_measured_round_trip_says_how_hosts_sleep(tmp_path: Path) -> None:
    bare = f"tcp_rr_latency,{BARE},21,us,baseline"
    assert waits(tmp_path, "3.0 GHz", bare) < waits(tmp_path, "3.0 GHz")


@pytest.mark.parametrize(("text", "mtu", "clock"), [
    ("two m5.4xlarge instances", 9001, 3.1), ("EKS nodes", 9001, None), ("n1-standard-4", 1460, 2.3),
    ("GKE, MTU 8896", 8896, None), ("c4.8xlarge at 3.2 GHz", 9001, 3.2), ("ecs.c5.2xlarge", 1500, None),
    ("Packet s1.large.x86", 1500, None), ("hosts", 1500, None),
])  # fmt: skip
def test_what_providers_say_of_their_machines(text: str, mtu: int, clock: float | None) -> None:
    found = described(text)
    assert (found.mtu, found.clock_ghz) == (mtu, clock)


def test_small_instances_have_few_processors() -> None:
    names = ("t2.micro", "t2.medium", "t3.small", "m1.medium")
    assert [described(f"EC2 {name}").cores for name in names] == [1, 2, 2, 1]


def test_dockers_networks_keep_their_mtu_among_jumbo_frames() -> None:
    subject = subject_of(Setting.read("cni=docker-overlay;encapsulation=vxlan"), described("EC2"))
    assert subject.plugin.pod_mtu_bytes(9001) == 1450
    assert subject_of(Setting.read("cni=flannel-vxlan"), described("EC2")).plugin.pod_mtu_bytes(9001) == 8951
