"""What a row says of its generator: calls, segments, requests at once, floods and what throws them away."""

from __future__ import annotations

from pathlib import Path

import pytest

from netsim.calibration.published import load_case, validate_case
from netsim.calibration.published.hardware import stated_in
from netsim.calibration.published.questions import perhaps
from netsim.calibration.published.score import Point

HEADER = "id,metric,configuration,value,unit,role\n"
HOSTS = "hardware: {description: 'two hosts, 16 cores, 3.0 GHz, 100 Gbit/s, governor performance'}\n"


def points(tmp_path: Path, *rows: str, case: str = HOSTS) -> list[Point]:
    text = HEADER + "".join(f"r{index},{row}\n" for index, row in enumerate(rows))
    (tmp_path / "published.csv").write_text(text, encoding="utf-8")
    (tmp_path / "case.yaml").write_text(case, encoding="utf-8")
    result = validate_case(load_case(str(tmp_path)), draws=0)
    assert not result.excluded
    return sorted((*result.points, *result.trivial), key=lambda point: point.id)


def predicted(tmp_path: Path, *rows: str, case: str = HOSTS) -> list[float]:
    return [point.predicted for point in points(tmp_path, *rows, case=case)]


def stream(tmp_path: Path, *configurations: str) -> list[float]:
    return predicted(tmp_path, *(f"tcp_throughput,cni=calico;{text},10,Gbit/s,target" for text in configurations))


def test_calls_of_netperf_decide_within_a_node_and_not_between_two(tmp_path: Path) -> None:
    near, near_small, apart, apart_small = stream(
        tmp_path, "path=pod-pod-same-node;tool=iperf3", "path=pod-pod-same-node;tool=netperf",
        "path=pod-pod-cross-node;tool=iperf3", "path=pod-pod-cross-node;tool=netperf",
    )  # fmt: skip
    assert near_small < 0.7 * near
    assert 0.9 * apart < apart_small <= apart


def test_a_stated_message_is_not_netperfs_usual_one(tmp_path: Path) -> None:
    usual, stated = stream(
        tmp_path, "path=pod-pod-same-node;tool=netperf", "path=pod-pod-same-node;tool=netperf;msg_bytes=16KiB"
    )
    assert stated == pytest.approx(usual)


def test_small_segments_leave_little_of_a_line(tmp_path: Path) -> None:
    """By hand: 468 bytes of payload in 558 on the line, TCP's timestamps and the frame included."""
    gigabit = HOSTS.replace("100 Gbit/s", "1 Gbit/s")
    rows = [f"tcp_throughput,cni=none;path=host-host{mss},900,Mbit/s,target" for mss in (";mss=480", "")]
    small, full = predicted(tmp_path, *rows, case=gigabit)
    assert small == pytest.approx(1000 * 468 / 558, rel=0.001)
    assert full == pytest.approx(1000 * 1448 / 1538, rel=0.001)


@pytest.mark.parametrize(("large", "held"), [(2.7, True), (9.0, False)])
def test_a_rate_that_no_size_of_messages_moves_is_a_limits(tmp_path: Path, large: float, held: bool) -> None:
    rows = [f"tcp_throughput,cni=none;path=host-host;msg_bytes={size},{rate},Gbit/s,baseline"
            for size, rate in ((1024, 2.6), (8192, large))]  # fmt: skip
    pods = "tcp_throughput,cni=calico;path=pod-pod-cross-node;msg_bytes=8192,2.6,Gbit/s,target"
    (rate,) = predicted(tmp_path, *rows, pods, case="hardware: {description: 'cloud instances'}\n")
    assert (2.4 < rate < 2.75) is held


def test_a_stream_that_a_window_holds_on_bare_hosts_fills_no_transmit_queue(tmp_path: Path) -> None:
    """Routed streams lose their order where one alone fills a card, which this one does not."""
    hosts = HOSTS.replace("100 Gbit/s", "10 Gbit/s, transmit queues")
    pods = "tcp_throughput,cni=flannel-host-gw;path=pod-pod-cross-node,5,Gbit/s,target"
    (held,) = predicted(tmp_path, "tcp_throughput,cni=none;path=host-host,5.4,Gbit/s,baseline", pods, case=hosts)
    assert 4.5 < held < 5.4


def test_requests_at_once_share_a_round_trip(tmp_path: Path) -> None:
    rows = [f"TCP_RR,cni=none;path=host-host;{keys},30000,tps,target" for keys in ("tool=netperf", "burst=2")]
    alone, three = predicted(tmp_path, *rows)
    assert three == pytest.approx(3 * alone)


@pytest.mark.parametrize(("function", "left"), [("", 0.0), (";function=XDP_DROP", 0.5)])
def test_a_filter_in_the_driver_keeps_a_flood_away(tmp_path: Path, function: str, left: float) -> None:
    base = "cni=none;path=host-host;background_udp_mpps="
    rows = (f"TCP_RR,{base}0,30000,tps,baseline", f"TCP_RR,{base}10{function},20000,tps,target")
    (flooded,) = predicted(tmp_path, *rows)
    assert flooded >= left * 30000
    assert (flooded == 0.0) == (left == 0.0)


def test_the_core_that_takes_packets_over_pays_for_the_stack(tmp_path: Path) -> None:
    functions = ("cpumap-UdpNoPorts", "cpumap-iptables-raw-drop", "UdpNoPorts", "cpumap")
    rows = [f"pps,cni=none;path=nic-host;function={name},3000000,pps,target" for name in functions]
    unread, dropped, own, handed = predicted(tmp_path, *rows)
    assert own < unread < dropped < handed  # the driver's part stays with the core that polls


def test_a_lone_request_waits_for_none(tmp_path: Path) -> None:
    """A generator's own time is no queue where the next request comes long after it."""
    http = "http_latency,{cni};rps={rate},0.8,ms,{role}"
    ends = (("cni=none;path=host-host", "baseline"), ("cni=calico;path=pod-pod-cross-node", "target"))
    rare, often = (
        predicted(tmp_path, *(http.format(cni=cni, rate=rate, role=role) for cni, role in ends))[0]
        for rate in (10, 100_000)
    )
    assert 0.8 < rare < 0.83 < often


@pytest.mark.parametrize(
    ("text", "contained"),
    [
        ("nodes of kind on one machine", True), ("kind v0.20, Ubuntu 22.04", True), ("a kind cluster", True),
        ("hosts of the same kind", False), ("a server of unknown kind", False),
    ],
)  # fmt: skip
def test_nodes_of_kind_are_containers_with_offloads(text: str, contained: bool) -> None:
    assert stated_in(text).get("tunnel", False) is contained
    assert stated_in(text).get("virtual", False) is contained


@pytest.mark.parametrize(("key", "said"), [("msgbytes", "msg_bytes?"), ("stream", "streams?"), ("colour", "colour")])
def test_a_misspelt_key_is_told_with_what_it_may_mean(key: str, said: str) -> None:
    assert perhaps(key).endswith(said) or perhaps(key).endswith(f"({said})")
