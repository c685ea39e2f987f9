"""What tables of other authors taught: units, transports, names, and which core a flow of datagrams waits for."""

from __future__ import annotations

from pathlib import Path

import pytest

from netsim.calibration.published import CaseResult, load_case, validate_case
from netsim.calibration.published.hardware import Hardware
from netsim.calibration.published.quantities import quantity
from netsim.calibration.published.setting import Setting
from netsim.calibration.published.subject import subject_of

HEADER = "id,metric,configuration,value,unit,role\n"
BARE = "cni=none;path=host-host"
POD = "cni=calico;path=pod-pod-cross-node"


def run(tmp_path: Path, rows: str, case: str = "") -> CaseResult:
    (tmp_path / "published.csv").write_text(HEADER + rows, encoding="utf-8")
    (tmp_path / "case.yaml").write_text(case, encoding="utf-8")
    return validate_case(load_case(str(tmp_path)), draws=0)


@pytest.mark.parametrize(
    ("unit", "dimension", "factor"),
    [("cores", "cores", 1), ("core", "cores", 1), ("vCPUs", "cores", 1), ("core-%", "cores", 0.01),
     ("% core", "cores", 0.01), ("millicores", "cores", 0.001),
     ("core-%/Gbit/s", "cpu", 1e-11), ("% of 32 threads", "share", 0.01), ("rules", "count", 1)],
)  # fmt: skip
def test_units_of_processors(unit: str, dimension: str, factor: float) -> None:
    read = quantity(1.0, unit)
    assert (read.dimension, read.factor) == (dimension, pytest.approx(factor))


def test_busy_cores_are_those_of_the_rate(tmp_path: Path) -> None:
    """Whatever the unit, CPU time is of the same bits: cores over Gbit/s is cores per Gbit/s."""
    rate = f"b,tcp_throughput,{BARE};streams=1,20,Gbit/s,baseline\n"
    cpu = "side=client;test=TCP_STREAM;streams=1"
    rows = rate + f"c,cpu_util,{BARE};{cpu},{{}},{{}},baseline\nt,cpu_util,{POD};{cpu},{{}},{{}},target\n"
    one = run(tmp_path, rows.format(0.5, "cores", 0.6, "cores"))
    per, more = "core-%/(Gbit/s)", f"r,tcp_throughput,{POD};streams=1,20,Gbit/s,target\n"
    other = run(tmp_path, rows.format(2.5, per, 3, per) + more)
    per_bit, gbps = (point.predicted for point in other.points)
    assert one.points[0].predicted == pytest.approx(per_bit / 100 * gbps, rel=1e-6)


@pytest.mark.parametrize(
    ("metric", "unit"),
    [("tcp_throughput", "packets"), ("tcp_rr_rate", "Gbit/s"), ("udp_throughput", "us"), ("cpu_util", "widgets"),
     ("first_packet_latency_p50", "req/s")],
)  # fmt: skip
def test_a_unit_that_counts_something_else_is_refused(tmp_path: Path, metric: str, unit: str) -> None:
    (refused,) = run(tmp_path, f"t,{metric},{POD};services=10,5,{unit},target\n").excluded
    assert "unit" in refused.reason
    assert unit in refused.reason


def test_cpu_time_of_another_test_is_refused(tmp_path: Path) -> None:
    (refused,) = run(tmp_path, f"t,cpu_util,{POD};test=UDP_STREAM,5,cores,target\n").excluded
    assert "no question answers CPU time of this test" in refused.reason


def test_datagrams_are_compared_with_datagrams(tmp_path: Path) -> None:
    """A metric's name says the transport; each has its own baseline, and TCP's gives the machine factor."""
    rows = (
        f"bt,tcp_latency,{BARE},30,us,baseline\nbu,udp_latency,{BARE},20,us,baseline\n"
        f"t,tcp_latency,{POD},40,us,target\nu,udp_latency,{POD},30,us,target\n"
    )
    result = run(tmp_path, rows)
    tcp, udp = (point.predicted for point in result.points)
    assert tcp > 30
    assert 20 < udp < tcp
    assert {parameter.name.split(" (")[0]: parameter.row for parameter in result.parameters} == {
        "machine factor k": "bt", "rest, s": "bu"
    }  # fmt: skip
    alone = run(tmp_path, f"bt,tcp_latency,{BARE},30,us,baseline\nu,udp_latency,{POD},30,us,target\n")
    assert alone.points[0].predicted > 30  # without a row of datagrams TCP's stands in


def test_a_slow_program_hides_what_other_cores_do(tmp_path: Path) -> None:
    """What the model does not explain is the slowest core's; hops of other cores are free before they are slower.

    Of large datagrams the receiver's copy is the slowest step where memory is slow, of small ones the sender's system
    call, whose core carries the pod's hops as well.
    """
    rows = f"b,udp_throughput,{BARE},{{0}},Gbit/s,baseline\nt,udp_throughput,{POD},{{0}},Gbit/s,target\n"
    slow = tmp_path / "slow-reads.yaml"
    slow.write_text(
        "{name: slow-reads, title: slow reads, extends: server, figures: {socket.receive.byte: {meaning: copy, "
        "scaling: memory, estimates: [{source: estimate, value: 0.25, low: 0.2, high: 0.3}]}}}"
    )
    large = f"{{profile: {slow}, hardware: {{mtu: 9000, nic: 40Gbit/s}}}}"
    assert run(tmp_path, rows.format(5), large).points[0].predicted == pytest.approx(5.0, rel=0.01)
    assert 12.0 < run(tmp_path, rows.format(20), large).points[0].predicted < 18.0
    assert 1.2 < run(tmp_path, rows.format(2)).points[0].predicted < 1.9


def test_a_plugin_without_its_tunnel() -> None:
    def tunnel(text: str) -> str:
        known = subject_of(Setting.read(text), Hardware()).plugin.encapsulation
        return known.kind if known else "none"

    assert tunnel("cni=antrea-1.15;encapsulation=none") == "none"
    assert tunnel("cni=antrea-1.15") == "geneve"
    assert tunnel("cni=antrea-1.15;encapsulation=vxlan") == "vxlan"


@pytest.mark.parametrize(
    ("name", "plugin"),
    [("macvlan", "macvlan"), ("kube-ovn-1.12", "kube-ovn"), ("kube-ovn-optimized", "kube-ovn-fastpath"),
     ("bridge-l2", "bridge-l2"), ("ovn-kubernetes", "antrea-geneve")],
)  # fmt: skip
def test_names(name: str, plugin: str) -> None:
    assert subject_of(Setting.read(f"cni={name}"), Hardware()).plugin.name == plugin


def test_macvlan_passes_the_node_by() -> None:
    """Pods of one segment meet nothing of the node but their devices; Services take the way through kube-proxy."""
    from netsim.calibration.published.testbed import Testbed
    from netsim.datapath.costs import load_profile

    profile = load_profile("server")
    bed = Testbed(Hardware(), profile.clock_ghz)

    def work(text: str) -> float:
        return bed.ways(bed.subject(Setting.read(text), {}), profile.prices()).forward.work()

    bare = work("cni=none;path=host-host")
    device = profile.prices()["macvlan.packet"] * 1e-9
    assert work("cni=macvlan;path=pod-pod-cross-node") == pytest.approx(bare + 2 * device)
    assert work("cni=macvlan;proxy=iptables;path=pod-service-cross-node") > bare + 1e-6


def test_what_a_stream_takes_beyond_the_model_goes_with_the_calls_of_its_program(tmp_path: Path) -> None:
    rows = f"b,tcp_throughput,{BARE};msg_bytes=4096,3,Gbit/s,baseline\n"
    rows += "".join(f"t{n},tcp_throughput,{POD};msg_bytes={n},3,Gbit/s,target\n" for n in (2048, 4096, 8192, 65536))
    rates = [point.predicted for point in run(tmp_path, rows).points]
    assert rates == sorted(rates)
    assert rates[1] < 3 < rates[2]
    assert rates[0] < 0.6 * rates[1]


@pytest.mark.parametrize(
    ("hosts", "config", "legacy"),
    [("5000 nodes of GCE", "", True), ("COS 101", "", True), ("Ubuntu 22.04", "", False),
     ("COS 101", ";backend=iptables-nft", False), ("Ubuntu 22.04", ";backend=legacy", True),
     ("Debian 11", ";k8s=1.14", True), ("Debian 11", ";k8s=1.22", False), ("EKS, Amazon Linux 2023", "", False)],
)  # fmt: skip
def test_the_back_end_of_iptables_is_that_of_row_release_or_hosts(
    tmp_path: Path, hosts: str, config: str, legacy: bool
) -> None:
    """With the nft back-end a table of so many chains takes ten times as long."""
    rows = f"s,sync_time,proxy=iptables;services=20000;endpoints=100000{config},20,s,target\n"
    (point,) = run(tmp_path, rows, f'hardware: {{description: "{hosts}"}}\n').points
    assert (point.predicted < 30) == legacy
