"""Cases of users: folders of the shipped form, read, refused, understood as far as possible."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from netsim.calibration.published import CaseResult, load_case, validate, validate_case
from netsim.calibration.published.hardware import described
from netsim.calibration.published.quantities import quantity
from netsim.calibration.published.render import page
from netsim.calibration.published.score import Point, rank_agreement, score
from netsim.calibration.published.setting import Setting
from netsim.calibration.published.subject import subject_of
from netsim.errors import InputError

HEADER = "id,metric,configuration,value,unit,role\n"
BARE = "b1,tcp_rr_rate,cni=none;path=host-host,40000,transactions/s,baseline\n"
POD = "t1,tcp_rr_rate,cni=calico-3.27;path=pod-pod-cross-node,31000,transactions/s,target\n"


def folder(tmp_path: Path, rows: str, case: str = "") -> str:
    (tmp_path / "published.csv").write_text(rows, encoding="utf-8")
    if case:
        (tmp_path / "case.yaml").write_text(case, encoding="utf-8")
    return str(tmp_path)


def run(tmp_path: Path, rows: str, case: str = "", draws: int = 0) -> CaseResult:
    return validate_case(load_case(folder(tmp_path, rows, case)), draws=draws)


def test_a_table_without_a_description(tmp_path: Path) -> None:
    result = run(tmp_path, HEADER + BARE + POD)
    (point,) = result.points
    assert 26_000 < point.predicted < 37_000
    assert [parameter.row for parameter in result.parameters] == ["b1"]


def test_intervals_contain_the_prediction(tmp_path: Path) -> None:
    result = run(tmp_path, HEADER + BARE + POD, draws=20)
    (point,) = result.points
    assert point.low < point.predicted < point.high
    assert len(result.influence) == 3


def test_names_of_a_case(tmp_path: Path) -> None:
    rows = HEADER + BARE + POD.replace("calico-3.27", "fancy")
    assert [item.id for item in run(tmp_path, rows).excluded] == ["t1"]
    assert not run(tmp_path, rows, "names: {fancy: {plugin: calico-bgp}}").excluded


def test_what_is_not_understood_is_excluded_with_its_reason(tmp_path: Path) -> None:
    rows = (
        HEADER + BARE + "t2,smell,cni=none,1,us,target\n" + "t3,tcp_rr_rate,cni=cilium;encapsulation=encrypted,1,us,\n"
    )
    reasons = {item.id: item.reason for item in run(tmp_path, rows).excluded}
    assert "smell" in reasons["t2"]
    assert "encryption" in reasons["t3"]


def test_baseline_of_the_collection_form(tmp_path: Path) -> None:
    rows = "id,metric,config,value,unit,environment,notes\n"
    rows += 'x,tcp_rr_latency,cni=none;path=host-host,25,us,"8 cores, 3.2 GHz, 40 Gbit/s, kernel 5.4",BASELINE row\n'
    rows += "y,tcp_rr_latency,cni=flannel;encapsulation=vxlan,40,us,,\n"
    case = load_case(folder(tmp_path, rows))
    assert [row.role for row in case.rows] == ["baseline", "target"]
    assert (case.hardware.cores, case.hardware.clock_ghz, case.hardware.nic_bps) == (8, 3.2, 40e9)


def test_each_environment_is_a_testbed_of_its_own(tmp_path: Path) -> None:
    rows = "id,metric,config,value,unit,environment,notes\n"
    rows += 'a,tcp_rr_rate,cni=none;path=host-host,40000,transactions/s,"8 cores, 3.2 GHz, 25 Gbit/s",BASELINE row\n'
    rows += "b,tcp_rr_rate,cni=calico-3.27,30000,transactions/s,,\n"
    rows += 'c,tcp_rr_rate,cni=calico-3.27,15000,transactions/s,"4 vCPU cloud VMs, 10 Gbit/s",\n'
    result = validate_case(load_case(folder(tmp_path, rows)), draws=0)
    points = {point.id: point.predicted for point in result.points}
    assert result.profile == "server, vm-virtio"
    assert points["c"] < points["b"] < 40000


def test_an_excluded_row_needs_no_number(tmp_path: Path) -> None:
    result = run(tmp_path, HEADER + BARE + POD + "f,memory,autopath=on,(pods+services)/250,MB,excluded (a formula)\n")
    assert [(item.id, item.reason) for item in result.excluded] == [("f", "a formula")]


@pytest.mark.parametrize(
    ("value", "unit", "said"),
    [("many", "us", "not a number"), ("8-9", "us", "8-9"), ("1", "furlong/fortnight^2", "unit")],
)
def test_a_value_that_says_nothing_is_excluded_alone(tmp_path: Path, value: str, unit: str, said: str) -> None:
    (refused,) = run(tmp_path, HEADER + BARE + POD + f"a,tcp_rr_rate,cni=none,{value},{unit},target\n").excluded
    assert refused.id == "a"
    assert said in refused.reason


def test_tables_out_of_a_spreadsheet(tmp_path: Path) -> None:
    """A byte order mark, capitals in the header, commas between thousands."""
    rows = '\ufeffID,Metric,Configuration,Value,Unit,Role\nb,TCP_RR,cni=none,"40,000",Trans/sec,calibration\n'
    result = run(tmp_path, rows + "t,TCP RR rate,cni=calico,31000,tps,target\n")
    assert [row.quantity.si for row in result.case.rows] == [40000, 31000]
    assert 26_000 < result.points[0].predicted < 37_000


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ("id,metric,value,unit\n", "configuration"),
        (HEADER, "no rows"),
        (HEADER + BARE + BARE, "twice"),
        (HEADER + "a,tcp_rr_rate,cni,1,us,target\n", "key=value"),
        (HEADER + "a,tcp_rr_rate,cni=none,1,us,perhaps\n", "role"),
        (HEADER + "a,tcp_rr_rate,cni=none,1,us,range\n", "reason"),
        (HEADER + "a,tcp_rr_rate,cni=none;machine=z,1,us,target\n", "machine"),
    ],
)
def test_wrong_tables_are_told(tmp_path: Path, rows: str, said: str) -> None:
    with pytest.raises(InputError, match=said) as error:
        load_case(folder(tmp_path, rows))
    assert "published.csv" in str(error.value)


def test_wrong_descriptions_are_told(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="hardware"):
        load_case(folder(tmp_path, HEADER + BARE, "hardware: {cores: -3}"))
    with pytest.raises(InputError, match="YAML"):
        load_case(folder(tmp_path, HEADER + BARE, "a: [b"))


def test_no_such_case() -> None:
    with pytest.raises(InputError, match="no such case"):
        load_case("nowhere/at/all")


@pytest.mark.parametrize(
    ("unit", "dimension", "si"),
    [
        ("Gbit/s", "bit_rate", 1e9), ("Mbit/s", "bit_rate", 1e6), ("k transactions/s", "rate", 1e3),
        ("Mpps", "rate", 1e6),
        ("us", "time", 1e-6), ("%", "share", 0.01), ("MB", "bytes", 1e6), ("req/s", "rate", 1.0),
        ("rules", "count", 1.0),
        ("% of 32 threads per 100 Gbit/s", "cpu", 0.32 / 1e11), ("% of 32 threads per 50k req/s", "cpu", 0.32 / 5e4),
        ("core-%/(Gbit/s) receiver", "cpu", 0.01 / 1e9), ("Gbit/s/core", "bit_rate", 1e9),
    ],
)  # fmt: skip
def test_units(unit: str, dimension: str, si: float) -> None:
    read = quantity(1.0, unit)
    assert read.dimension == dimension
    assert read.si == pytest.approx(si)
    assert read.shown(read.si) == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("configuration", "plugin", "proxy"),
    [
        ("cni=cilium-1.9.6-ebpf-host-routing;proxy=ebpf", "cilium-native", "ebpf"),
        ("cni=cilium-1.9.6-legacy-host-routing;proxy=iptables", "cilium-native", "iptables"),
        ("cni=cilium;encapsulation=geneve", "cilium-vxlan+geneve", "ebpf"),
        ("cni=calico-3.17.3-ebpf", "calico-ebpf-host-end", "ebpf"),
        ("cni=calico-3.29.0-ebpf", "calico-ebpf", "ebpf"),
        ("cni=calico-ebpf", "calico-ebpf", "ebpf"),
        ("cni=calico-ebpf;encapsulation=vxlan", "calico-ebpf-vxlan", "ebpf"),
        ("cni=calico-3.16-ebpf;encapsulation=ipip", "calico-ebpf-vxlan-host-end+ipip", "ebpf"),
        ("cni=weave", "weave", "iptables"),
        ("cni=openvswitch;encapsulation=none", "ovs+none", "iptables"),
        ("cni=ovs;encapsulation=vxlan", "ovs", "iptables"),
        ("cni=ovn-kubernetes", "antrea-geneve", "iptables"),
        ("cni=cilium-1.12.1;encapsulation=vxlan", "cilium-vxlan+tracked", "ebpf"),
        ("cni=cilium-1.19.0;encapsulation=vxlan", "cilium-vxlan", "ebpf"),
        ("cni=calico;encapsulation=ipip;proxy=ipvs", "calico-ipip", "ipvs"),
        ("cni=flannel-1.1.0-host-gw;encapsulation=none", "flannel-host-gw", "iptables"),
        ("cni=flannel", "flannel-vxlan", "iptables"),
        ("cni=antrea;encapsulation=geneve", "antrea-proxy", "iptables"),
        ("cni=antrea-0.9.1", "antrea-geneve", "iptables"),
        ("cni=VPC-CNI", "aws-vpc", "iptables"),
        ("cni=none;path=host-host", "bare", "iptables"),
        ("cni=none;path=host-host;encapsulation=vxlan", "bare-tunnel", "iptables"),
        ("cni=none;path=pod-service-cross-node;proxy=nftables", "kubenet", "nftables"),
    ],
)
def test_names_of_plugins(configuration: str, plugin: str, proxy: str) -> None:
    subject = subject_of(Setting.read(configuration), described("kernel 5.10"))
    assert (subject.plugin.name, subject.proxy) == (plugin, proxy)


def test_old_kernels_have_no_ebpf_host_routing() -> None:
    setting = Setting.read("cni=cilium-1.12;encapsulation=vxlan;proxy=ebpf")
    assert subject_of(setting, described("kernel 5.4")).proxy == "iptables"
    assert subject_of(setting, described("kernel 6.1")).proxy == "ebpf"


def test_old_kernels_compute_checksums_of_calicos_tunnel() -> None:
    setting = Setting.read("cni=calico;encapsulation=vxlan")
    assert not subject_of(setting, described("kernel 5.4")).checksum
    assert subject_of(setting, described("kernel 5.15")).checksum


def point(published: float, predicted: float, low: float = 0.0, high: float = 1e9, group: str = "g") -> Point:
    return Point("i", "m", "", "us", published, predicted, low, high, "", "", (group,))


def test_scores_by_hand() -> None:
    found = score([point(100, 110), point(100, 80, 90, 100), point(200, 200)], noise=0.02)
    assert found.bias == 0.0
    assert found.median == pytest.approx(0.1)
    assert found.coverage == pytest.approx(1.0)
    assert score([point(100, 80, 70, 90)], noise=0.02).coverage == 0.0


def test_rank_counts_pairs_that_differ() -> None:
    assert rank_agreement([point(100, 1), point(101, 0)], noise=0.02) is None
    assert rank_agreement([point(100, 1), point(200, 2), point(300, 1.5)], noise=0.02) == pytest.approx(2 / 3)
    assert rank_agreement([point(100, 1), point(200, 1)], noise=0.02) == 0.5
    assert rank_agreement([point(100, 1), point(200, 1, group="other")], noise=0.02) is None


def test_command_prints_one_document(tmp_path: Path) -> None:
    import json

    from netsim.cli.app import app

    path = folder(tmp_path, HEADER + BARE + POD)
    done = CliRunner().invoke(app, ["validate", path, "--draws", "0", "--format", "json"])
    assert done.exit_code == 0
    document = json.loads(done.stdout)
    assert set(document) == {"cases", "overall"}
    assert set(document["cases"][0]) == {"case", "points", "bias", "median", "p90", "rank", "coverage", "half_width"}
    assert set(document["overall"]) == {"median", "p90", "rank", "coverage", "half_width"}


def test_processes_change_nothing() -> None:
    """Two small cases on two processes are those of one, to the last digit."""
    names = ["dns-amplification", "filters"]
    one, two = (validate(names, draws=5, workers=workers) for workers in (1, 2))
    assert [case.points for case in one.cases] == [case.points for case in two.cases]
    assert [case.case.name for case in two.cases] == names


def test_numbers_of_objects_have_an_end(tmp_path: Path) -> None:
    """A row that asks for more Services than can be built is left out with a reason, and costs the others nothing."""
    rows = "a,http_rps,services=1e12;proxy=iptables;keepalive=off,1000,req/s,target\n"
    result = run(tmp_path, HEADER + rows + POD)
    assert [item.id for item in result.excluded] == ["a"]
    assert "so many are not built" in result.excluded[0].reason
    assert len(result.points) + len(result.trivial) == 1


def test_a_page_names_the_command_that_writes_it(tmp_path: Path) -> None:
    result = validate(["dns-amplification"], draws=0)
    text = page(result, "netsim validate FOLDER --page X.md", shipped=False)
    assert "Generated by `netsim validate FOLDER --page X.md`" in text
    assert "from outside" in text and "unseen-tables.md" not in text
    assert "(unseen-tables.md)" in page(result, "netsim validate", shipped=True)


STREAMS = (
    "b1,tcp_throughput,cni=none;path=host-host;streams=1,30,Gbit/s,baseline\n"
    "w1,tcp_throughput,cni=cilium;encapsulation=wireguard;streams=1,8,Gbit/s,target\n"
    "w8,tcp_throughput,cni=cilium;encapsulation=wireguard;streams=8,8,Gbit/s,target\n"
    "v8,tcp_throughput,cni=cilium;encapsulation=vxlan;streams=8,38,Gbit/s,target\n"
    "u8,udp_throughput,cni=cilium;encapsulation=ipsec;streams=8,4,Gbit/s,target\n"
    "u1,udp_throughput,cni=cilium;encapsulation=ipsec;streams=1,4,Gbit/s,target\n"
)


def test_flows_that_one_encrypted_flow_hides_share_a_core(tmp_path: Path) -> None:
    hosts = 'hardware: {nic: 40Gbit/s, mtu: 9000, cores: 32}\ndefaults: {tool: "iperf3 3.16"}\n'
    result = run(tmp_path, HEADER + STREAMS, hosts)
    found = {point.id: point.predicted for point in (*result.points, *result.trivial)}
    assert found["w8"] < 1.6 * found["w1"] < found["v8"]
    assert found["u8"] < 4 * found["u1"]


@pytest.mark.parametrize("tool", ["iperf3 -Z", "iperf3 3.16 -Z", "netperf TCP_SENDFILE", "iperf3 --zerocopy"])
def test_a_sender_of_a_files_pages_copies_nothing(tool: str) -> None:
    assert subject_of(Setting({"tool": tool}), described("two servers")).from_file
    assert not subject_of(Setting({"tool": tool.split(maxsplit=1)[0]}), described("two servers")).from_file


def test_a_bare_stream_of_a_files_pages_measures_the_processor(tmp_path: Path) -> None:
    def factors(tool: str) -> list[str]:
        case = f'hardware: {{nic: 40Gbit/s, mtu: 9000}}\ndefaults: {{tool: "{tool}"}}\n'
        return [parameter.name for parameter in run(tmp_path, HEADER + STREAMS, case).parameters]

    assert "machine factor k" in factors("iperf3 3.16 -Z")
    assert "machine factor k" not in factors("iperf3 3.16")


@pytest.mark.parametrize(("kernel", "core", "least", "most"), [
    ("5.15", "sender", 1.5, 2.6), ("6.8", "sender", 3.0, 4.0), ("5.15", "softirq", 2.7, 4.0),
])  # fmt: skip
def test_the_core_that_is_told_to_be_busy_gives_the_factor(
    tmp_path: Path, kernel: str, core: str, least: float, most: float
) -> None:
    """Since Linux 6.5 a page costs a third, so the same rate is that of a slower processor."""
    case = f'hardware: {{nic: 40Gbit/s, mtu: 9000, kernel: "{kernel}"}}\ndefaults: {{tool: "iperf3 -Z"}}\n'
    rows = HEADER + STREAMS.replace("path=host-host;", f"path=host-host;busy={core};", 1)
    (factor,) = (one for one in run(tmp_path, rows, case).parameters if one.name == "machine factor k")
    assert least < factor.value <= most


def test_a_core_that_no_stream_has_is_refused(tmp_path: Path) -> None:
    rows = HEADER + STREAMS.replace("path=host-host;", "path=host-host;busy=card;", 1)
    (refused,) = run(tmp_path, rows, 'hardware: {nic: 40Gbit/s}\ndefaults: {tool: "iperf3 -Z"}\n').excluded
    assert "configuration.busy" in refused.reason
    assert "sender" in refused.reason


@pytest.mark.parametrize(("card", "told"), [("two servers, i40e", 126e-6), ("Intel XL710", 126e-6), ("mlx5", 0.0)])
def test_cards_that_are_slow_to_tell_what_they_sent_are_known_by_name(card: str, told: float) -> None:
    assert described(card).completions_s == pytest.approx(told)


def test_a_sender_of_datagrams_waits_for_the_card_unless_the_way_forgets_whose_they_are(tmp_path: Path) -> None:
    rows = (
        "b1,udp_throughput,cni=none;path=host-host,7.3,Gbit/s,baseline\n"
        "ovs,udp_throughput,cni=antrea;encapsulation=geneve,7.3,Gbit/s,target\n"
        "routed,udp_throughput,cni=antrea;encapsulation=none,9,Gbit/s,target\n"
    )
    found = {}
    for told in ("0us", "126us"):
        hosts = f"hardware: {{nic: 40Gbit/s, mtu: 9000, completions: {told}}}\n"
        found[told] = {point.id: point.predicted for point in run(tmp_path, HEADER + rows, hosts).points}
    # 13 datagrams of 9,000 bytes fill a send buffer of 212,992 bytes
    assert found["126us"]["ovs"] == pytest.approx(13 * 8922 * 8e-9 / 126e-6, rel=0.02)
    assert found["126us"]["routed"] > 1.1 * found["126us"]["ovs"]
    assert found["0us"]["routed"] == pytest.approx(found["0us"]["ovs"], rel=0.25)
