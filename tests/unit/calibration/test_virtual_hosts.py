"""Virtual machines and hosts hardly described: what providers say, what lies between, what nobody states."""

from __future__ import annotations

from pathlib import Path

import pytest

from netsim.calibration.published import CaseResult, load_case, validate_case
from netsim.calibration.published.clouds import processors, providers
from netsim.calibration.published.hardware import Hardware, described
from netsim.calibration.published.unstated import tunnels, without_credits

HEADER = "id,metric,configuration,value,unit,role\n"
BARE = "cni=none;path=host-host"
OVERLAY = "cni=flannel;encapsulation=vxlan;path=pod-pod-cross-node"


def run(tmp_path: Path, description: str, *rows: str, draws: int = 0) -> CaseResult:
    lines = "".join(f"r{number},tcp_throughput,{row}\n" for number, row in enumerate(rows))
    (tmp_path / "published.csv").write_text(HEADER + lines, encoding="utf-8")
    (tmp_path / "case.yaml").write_text(f"hardware: {{description: '{description}'}}\n", encoding="utf-8")
    return validate_case(load_case(str(tmp_path)), draws=draws)


def predicted(result: CaseResult) -> float:
    """Return the one prediction, in Gbit/s as the rows are."""
    (point,) = (*result.points, *result.trivial)
    return point.predicted


@pytest.mark.parametrize(("text", "line", "cores", "clock"), [
    ("two m5.large instances", 10e9, 2, 3.1), ("c5n.18xlarge", 100e9, 72, 3.4), ("m6i.4xlarge", 12.5e9, 16, 3.5),
    ("EKS, c5.9xlarge", 12e9, 36, 3.4), ("t3.medium", 5e9, 2, 2.5), ("m6g.medium", 10e9, 1, 2.5),
    ("n1-standard-2", 10e9, 2, 2.3), ("n1-standard-1", 2e9, 1, 2.3), ("GKE, e2-standard-4", 8e9, 4, None),
    ("n2-highcpu-16", 32e9, 16, 3.4), ("AKS, Standard_D4s_v3", 2e9, 4, 2.3), ("Standard_DS3_v2", 3e9, 4, 2.3),
    ("Standard_F8s_v2", 12.5e9, 8, 3.4), ("Standard_D2_v5", 12.5e9, 2, 3.5), ("droplets of 4 vCPU", 2e9, 4, None),
    ("ecs.c5.2xlarge", 25e9, 8, None), ("m5.large, 5 Gbit/s", 5e9, 2, 3.1),
])  # fmt: skip
def test_lines_and_processors_of_instances(text: str, line: float, cores: int, clock: float | None) -> None:
    found = described(text)
    assert (found.nic_bps, found.cores, found.clock_ghz, found.virtual) == (line, cores, clock, True)


def test_every_family_of_a_provider_is_found_by_its_own_pattern() -> None:
    amazon = providers()[0]
    for name in amazon.families:
        match = amazon.found(f"two {name}.xlarge machines")
        assert match is not None
        assert match["family"] == name


@pytest.mark.parametrize(("text", "virtual"), [
    ("KVM guests, 4 cores", True), ("OpenStack, Ubuntu 20.04", True), ("Vagrant, VirtualBox", True),
    ("Hetzner Cloud", True), ("three Instances", True), ("ESXi 7.0", True), ("on Proxmox", True),
    ("Virtual Machines", True), ("CloudLab c6525-25g", False), ("Bare-metal instances", False),
    ("two servers", False), ("BM.Standard.E4", False), ("EKS on Bare Metal", False),
])  # fmt: skip
def test_words_that_say_that_hosts_are_virtual(text: str, virtual: bool) -> None:
    assert described(text).virtual == virtual


@pytest.mark.parametrize(("family", "size", "cores"), [
    ("m5", "24xlarge", 96), ("t2", "micro", 1), ("t3", "nano", 2), ("m5", "metal", None), ("n1", "8", 8),
])  # fmt: skip
def test_sizes_tell_processors(family: str, size: str, cores: int | None) -> None:
    assert processors(family, size) == cores


def test_a_provider_holds_single_flows(tmp_path: Path) -> None:
    one = predicted(run(tmp_path, "m5.8xlarge instances", f"{BARE};streams=1,4.9,Gbit/s,target"))
    many = predicted(run(tmp_path, "m5.8xlarge instances", f"{BARE};streams=8;tool=iperf3-3.17,9.9,Gbit/s,target"))
    near = predicted(run(tmp_path, "m5.8xlarge, cluster placement group", f"{BARE};streams=1,9.5,Gbit/s,target"))
    assert one == pytest.approx(5 * 0.99, rel=0.02)
    assert many == near == pytest.approx(10 * 0.99, rel=0.02)


def test_a_measured_flow_shows_that_nothing_holds_it(tmp_path: Path) -> None:
    rows = f"{BARE};streams=1,9.6,Gbit/s,baseline", "cni=calico;encapsulation=none,9.5,Gbit/s,target"
    assert predicted(run(tmp_path, "m5.8xlarge instances", *rows)) > 9


def test_baseline_rows_tell_the_line_that_nobody_states(tmp_path: Path) -> None:
    row = "cni=calico;encapsulation=none,9.3,Gbit/s,target"
    (tmp_path / "a").mkdir()
    full = run(tmp_path / "a", "two hosts", f"{BARE},9.4,Gbit/s,baseline", row)
    assert full.case.hardware.nic_bps == 10e9
    assert predicted(full) < 9.5
    assert run(tmp_path, "two hosts", f"{BARE},6.0,Gbit/s,baseline", row).case.hardware.nic_bps == 25e9
    assert run(tmp_path, "two hosts", f"{BARE},37,Gbit/s,baseline", row).case.hardware.nic_bps == 40e9
    assert run(tmp_path, "hosts, 100 Gbit/s", f"{BARE},9.4,Gbit/s,baseline", row).case.hardware.nic_bps == 100e9
    local = "cni=none;path=host-host-same-node,9.4,Gbit/s,baseline"
    assert run(tmp_path, "two hosts", local, row).case.hardware.nic_bps == 25e9


def test_a_shaper_and_not_the_hosts_leaves_a_line_less_full(tmp_path: Path) -> None:
    rows = f"{BARE},0.88,Gbit/s,baseline", f"{OVERLAY},0.8,Gbit/s,target"
    (point,) = run(tmp_path, "VMs, 1 Gbit/s, 4 vCPU", *rows).trivial
    assert point.predicted == pytest.approx(0.88 * 0.965, rel=0.02)


@pytest.mark.parametrize(("text", "may"), [
    ("VMs", {"whole", "unmerged"}), ("VMs, kernel 5.4", {"unmerged"}), ("virtio VMs", set()), ("EC2", set()),
    ("VMware, VMXNET3, kernel 5.15", {"whole"}), ("vCenter VMs", {"whole"}), ("ESXi VMs, kernel 4.15", set()),
    ("Hyper-V machines", {"unmerged"}), ("two servers", {"cut"}), ("two servers, ConnectX-5", set()),
])  # fmt: skip
def test_what_cards_may_do_for_tunnels(text: str, may: set[str]) -> None:
    assert described(text).tunnels == may


def test_cards_that_are_stated_are_not_drawn() -> None:
    assert Hardware.model_validate({"description": "VMs", "tunnel": True}).tunnels == frozenset()


def test_draws_of_cards() -> None:
    guest, host = described("VMs"), described("two servers")
    assert [tunnels(guest, {"tunnel.unstated": share}) for share in (0.3, 1.0, 3.0)] == ["unmerged", None, "whole"]
    assert [tunnels(host, {"tunnel.unstated": share}) for share in (0.3, 1.0, 3.0)] == ["cut", None, None]
    assert tunnels(guest, {}) is None


def test_intervals_hold_cards_of_both_kinds(tmp_path: Path) -> None:
    rows = f"{BARE},26,Gbit/s,baseline", f"{OVERLAY},4,Gbit/s,target"
    (tmp_path / "a").mkdir()
    (known,) = run(tmp_path / "a", "VMs of 8 vCPU, VMXNET3, kernel 5.4, 100 Gbit/s", *rows, draws=100).points
    (unknown,) = run(tmp_path, "VMs of 8 vCPU, VMXNET3, 100 Gbit/s", *rows, draws=100).points
    assert unknown.predicted == pytest.approx(known.predicted, rel=0.01)
    assert unknown.high > 1.3 * known.high


def test_credits() -> None:
    micro = described("t2.micro")
    assert micro.credits == 0.1
    assert without_credits(micro, 0.0) == 1.0
    assert without_credits(micro, 1.0) == pytest.approx(10.0)
    assert described("Standard_B2ms").credits == 0.3
    assert described("t3.micro").credits == 1.0


def test_the_hypervisors_switch_is_in_the_interval_of_guests_apart(tmp_path: Path) -> None:
    row = "cni=calico-3.17;encapsulation=ipip,1.3,Gbit/s,target"
    (tmp_path / "a").mkdir()
    (apart,) = run(tmp_path / "a", "VMs, 8 vCPU, kernel 5.4, 10 Gbit/s", row, draws=60).points
    (same,) = run(tmp_path, "virtio VMs, 8 vCPU, kernel 5.4", row, draws=60).points
    assert apart.low < 1.6 < same.low


def test_datagrams_that_passed_show_a_faster_switch(tmp_path: Path) -> None:
    lines = HEADER + "b,udp_throughput,cni=none;path=host-host,11,Gbit/s,baseline\n"
    lines += "t,udp_throughput,cni=none;path=host-host,10.5,Gbit/s,target\n"
    (tmp_path / "published.csv").write_text(lines, encoding="utf-8")
    (tmp_path / "case.yaml").write_text("hardware: {description: 'VMs, 8 vCPU, 25 Gbit/s'}\n", encoding="utf-8")
    (point,) = validate_case(load_case(str(tmp_path)), draws=0).points
    assert point.predicted == pytest.approx(11)


def test_rows_that_agree_whatever_their_programs_do_show_a_limit_beside_the_hosts(tmp_path: Path) -> None:
    target = f"{OVERLAY};msg_bytes=1024,2.6,Gbit/s,target"
    small, large = f"{BARE};msg_bytes=1024,2.66,Gbit/s,baseline", f"{BARE};msg_bytes=8192,2.7,Gbit/s,baseline"
    (tmp_path / "a").mkdir()
    alone = predicted(run(tmp_path / "a", "VMs of 8 vCPU, virtio, 25 Gbit/s", small, target))
    both = predicted(run(tmp_path, "VMs of 8 vCPU, virtio, 25 Gbit/s", small, large, target))
    assert both == pytest.approx(2.66)
    assert alone < 0.8 * both


def test_a_limit_beside_the_hosts_is_in_the_interval_of_a_slow_bare_row(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    slow = f"{BARE},3,Gbit/s,baseline", f"{OVERLAY},2.9,Gbit/s,target"
    quick = f"{BARE},18,Gbit/s,baseline", f"{OVERLAY},3.5,Gbit/s,target"
    description = "virtio VMs of 8 vCPU, 25 Gbit/s"
    (held,) = run(tmp_path / "a", description, *slow, draws=100).points
    (free,) = run(tmp_path, description, *quick, draws=100).points
    assert held.high == pytest.approx(3.0, rel=0.15)
    assert held.high / held.predicted > 1.4 > free.high / free.predicted


def test_how_far_apart_instances_are_is_drawn_unless_a_round_trip_says_it(tmp_path: Path) -> None:
    def trip(name: str, description: str, *more: str) -> tuple[float, float]:
        (tmp_path / name).mkdir()
        lines = HEADER + "".join(more) + "t,tcp_rr_latency,cni=calico;path=pod-pod-cross-node,200,us,target\n"
        (tmp_path / name / "published.csv").write_text(lines, encoding="utf-8")
        case = f"hardware: {{description: '{description}'}}\n"
        (tmp_path / name / "case.yaml").write_text(case, encoding="utf-8")
        (point,) = validate_case(load_case(str(tmp_path / name)), draws=60).points
        return point.predicted, point.high

    cloud = "virtio VMs of 8 vCPU, 3 GHz, 10 Gbit/s"
    usual, high = trip("unstated", cloud)
    bare = f"b,tcp_rr_latency,{BARE},{usual:.1f},us,baseline\n"
    assert high > 1.8 * usual
    predicted, measured = trip("measured", cloud, bare)
    assert measured < 1.5 * predicted
