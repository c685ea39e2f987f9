"""Tables as people write them: units, metrics, names, paths and testbeds in other words, and what must be refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from netsim.calibration.published import CaseResult, load_case, validate_case
from netsim.calibration.published.bulk import one_threaded
from netsim.calibration.published.case import Row
from netsim.calibration.published.chains import back_end, trampolines
from netsim.calibration.published.hardware import Hardware
from netsim.calibration.published.quantities import quantity
from netsim.calibration.published.questions import question_of
from netsim.calibration.published.services import stated_percentile
from netsim.calibration.published.setting import Setting
from netsim.calibration.published.subject import Subject, subject_of
from netsim.errors import InputError

HEADER = "id,metric,configuration,value,unit,role\n"


def run(tmp_path: Path, rows: str, case: str = "") -> CaseResult:
    (tmp_path / "published.csv").write_text(HEADER + rows, encoding="utf-8")
    (tmp_path / "case.yaml").write_text(case, encoding="utf-8")
    return validate_case(load_case(str(tmp_path)), draws=0)


def row(metric: str, unit: str, configuration: str = "cni=calico") -> Row:
    return Row("r", metric, Setting.read(configuration), quantity(1.0, unit), "target")


def subject(text: str, kernel: str = "5.15") -> Subject:
    return subject_of(Setting.read(text), Hardware(kernel=kernel))


@pytest.mark.parametrize(
    ("unit", "dimension", "factor"),
    [
        ("gbps", "bit_rate", 1e9), ("GBit/s", "bit_rate", 1e9), ("Gibit/s", "bit_rate", 2**30),
        ("mbps", "bit_rate", 1e6),
        ("MB/s", "bit_rate", 8e6), ("MBytes/sec", "bit_rate", 8e6), ("MiB/s", "bit_rate", 8 * 2**20),
        ("10^6bits/sec", "bit_rate", 1e6), ("gigabits per second", "bit_rate", 1e9), ("Mbit", "bit_rate", 1e6),
        ("Trans/sec", "rate", 1), ("TPS", "rate", 1), ("1/s", "rate", 1), ("k/s", "rate", 1e3), ("OP/s", "rate", 1),
        ("requests per second", "rate", 1), ("kpps", "rate", 1e3), ("million packets/s", "rate", 1e6),
        ("calls/min", "rate", 1 / 60), ("cps", "rate", 1), ("q/s", "rate", 1),
        ("microseconds", "time", 1e-6), ("usecs", "time", 1e-6), ("milliseconds", "time", 1e-3),
        ("minutes", "time", 60),
        ("millicores", "cores", 1e-3), ("% of one core", "cores", 0.01), ("% core", "cores", 0.01),
        ("percent", "share", 0.01),
        ("% CPU", "share", 0.01), ("cores per Gbit/s", "cpu", 1e-9), ("us/transaction", "cpu", 1e-6),
        ("us/KB", "cpu", 1e-6 / 8e3), ("ns/byte", "cpu", 1e-9 / 8), ("core-s/GB", "cpu", 1 / 8e9),
        ("Mi", "bytes", 2**20), ("megabytes", "bytes", 1e6), ("cycles/packet", "count", 1), ("rules", "count", 1),
    ],
)  # fmt: skip
def test_units(unit: str, dimension: str, factor: float) -> None:
    read = quantity(1.0, unit)
    assert (read.dimension, read.factor) == (dimension, pytest.approx(factor))


@pytest.mark.parametrize("unit", ["% per Gbit/s", "cycles/byte", "m/s^2", ""])
def test_units_that_could_mean_anything(unit: str) -> None:
    with pytest.raises(InputError):
        quantity(1.0, unit or "?")


@pytest.mark.parametrize(
    ("metric", "unit", "kind"),
    [
        ("TCP throughput", "Gbit/s", "bulk"), ("tcp-bandwidth", "Gbit/s", "bulk"), ("goodput", "Gbit/s", "bulk"),
        ("iperf3_throughput", "Mbit/s", "bulk"), ("UDP_STREAM", "Mbit/s", "datagrams"),
        ("udp bw", "Mbit/s", "datagrams"),
        ("TCP_RR", "tps", "round-trip"), ("transactions_per_second", "tps", "round-trip"), ("rtt", "us", "round-trip"),
        ("p99_latency", "us", "round-trip-p99"), ("latency_99th_percentile", "us", "round-trip-p99"),
        ("udp_latency_p50", "us", "round-trip-udp"), ("tcp_rr_latency_p90", "us", "round-trip-p90"),
        ("TCP_CRR", "tps", "connection"), ("cps", "conn/s", "connection"),
        ("connections_per_second", "1/s", "connection"),
        ("cpu_usage", "%", "cpu-round-trip"), ("receiver_cpu", "cores/(Gbit/s)", "cpu-bulk"),
        ("service_demand", "us/KB", "cpu-bulk"), ("http_requests_per_second", "req/s", "requests-kept"),
        ("http_qps", "req/s", "requests-kept"), ("http_p99", "ms", "http-p99"),
        ("http_throughput", "Gbit/s", "bulk"), ("transactions", "1/s", "round-trip"), ("CRR", "1/s", "connection"),
        ("icmp_rtt", "us", "round-trip"), ("TCP connect time", "us", "connect"),
        ("connection_setup_p99", "us", "connect-p99"),
    ],
)  # fmt: skip
def test_metrics(metric: str, unit: str, kind: str) -> None:
    assert question_of(row(metric, unit)).kind == kind


@pytest.mark.parametrize(
    ("metric", "unit", "said"),
    [
        ("tcp_rr_latency_max", "us", "means and percentiles"), ("latency_stddev", "us", "means and percentiles"),
        ("softirq_cpu", "%", "kind of time"), ("policy_latency", "us", "no question"),
        ("scp_throughput", "Gbit/s", "no question"), ("throughput_ratio", "ratio", "no question"),
        ("connection_setup_time_added_per_service", "ns", "no question"), ("latency_overhead", "us", "no question"),
        ("throughput", "us", "unit"), ("pod_startup_latency", "s", "no question"),
    ],
)  # fmt: skip
def test_metrics_that_are_refused(metric: str, unit: str, said: str) -> None:
    with pytest.raises(InputError, match=said):
        question_of(row(metric, unit))


@pytest.mark.parametrize(
    ("metric", "configuration", "share"),
    [
        ("latency_p99", "", 0.99), ("latency_99th", "", 0.99), ("tcp_rr_90th_percentile", "", 0.9),
        ("p99.9", "", 0.999),
        ("latency_p999", "", 0.999), ("latency", "percentile=99", 0.99), ("latency", "percentile=p95", 0.95),
        ("latency_median", "", 0.5), ("latency", "", None), ("pps_per_core", "", None), ("http_p50", "", 0.5),
    ],
)  # fmt: skip
def test_percentiles(metric: str, configuration: str, share: float | None) -> None:
    assert stated_percentile(row(metric, "us", configuration)) == (pytest.approx(share) if share else None)


@pytest.mark.parametrize(
    ("configuration", "plugin", "proxy"),
    [
        ("cni=VPC-CNI;proxy=ebpf", "cilium-native", "ebpf"), ("proxy=cilium;path=service", "cilium-native", "ebpf"),
        ("cni=flannel;proxy=ebpf", "cilium-vxlan", "ebpf"),
        ("cni=flannel;proxy=kube-proxy-ipvs", "flannel-vxlan", "ipvs"),
        ("cni=antrea-noencap", "antrea-routed", "iptables"),
        ("cni=docker-overlay", "flannel-vxlan+1450", "iptables"),
        ("cni=cilium-1.14-vxlan-kpr", "cilium-vxlan+tracked", "ebpf"),
        ("cni=gke-dataplane-v2", "cilium-native", "ebpf"),
        ("cni=sriov", "macvlan", "iptables"), ("cni=kindnet", "kubenet", "iptables"), ("cni=host", "bare", "iptables"),
        ("cni=calico;encapsulation=IP-in-IP", "calico-ipip", "iptables"),
        ("cni=flannel+wireguard", "flannel-vxlan+wireguard", "iptables"),
        ("cni=calico;encapsulation=wireguard", "calico-vxlan+wireguard", "iptables"),
        ("cni=cilium-1.14-ebpf;encapsulation=none;proxy=ebpf", "cilium-native", "ebpf"),
        ("cni=calico;encapsulation=ESP", "calico-vxlan+ipsec", "iptables"),
        ("cni=ovs-vxlan", "ovs", "iptables"),
        ("cni=calico;encapsulation=cross-subnet", "calico-bgp", "iptables"),
    ],
)  # fmt: skip
def test_names(configuration: str, plugin: str, proxy: str) -> None:
    found = subject(configuration)
    assert (found.plugin.name, found.proxy) == (plugin, proxy)


@pytest.mark.parametrize(
    ("configuration", "said"),
    [
        ("cni=weave-encrypted", "encryption"),
        ("cni=calico-vpp", "outside the kernel"), ("cni=flannel-udp", "outside the kernel"),
        ("cni=calico;encapsulation=gre", "no such tunnel"), ("cni=calico;path=pod-moon", "path"),
        ("cni=mystery", "not known"),
    ],
)  # fmt: skip
def test_what_is_refused(configuration: str, said: str) -> None:
    with pytest.raises(InputError, match=said):
        subject(configuration)


@pytest.mark.parametrize(
    ("path", "ends", "same", "service"),
    [
        ("pod-pod-intra-node", ("pod", "pod"), True, False), ("pod-to-pod-same-host", ("pod", "pod"), True, False),
        ("same-host", ("pod", "pod"), True, False), ("cross-host", ("pod", "pod"), False, False),
        ("Pod to Pod, different nodes", ("pod", "pod"), False, False),
        ("pod-pod, intra-node", ("pod", "pod"), True, False), ("pod → pod (remote node)", ("pod", "pod"), False, False),
        ("hostNetwork", ("host", "host"), False, False), ("podNetwork, same node", ("pod", "pod"), True, False),
        ("pod-node-cross-node", ("pod", "host"), False, False), ("node-to-pod", ("host", "pod"), False, False),
        ("pod-clusterip", ("pod", "pod"), False, True), ("node-service-same-node", ("host", "pod"), True, True),
        ("localhost", ("host", "host"), True, False), ("container-container-same-host", ("pod", "pod"), True, False),
        ("p2p", ("pod", "pod"), False, False), ("p2s", ("pod", "pod"), False, True),
        ("n2n", ("host", "host"), False, False), ("netns-to-netns same-system", ("pod", "pod"), True, False),
    ],
)  # fmt: skip
def test_paths(path: str, ends: tuple[str, str], same: bool, service: bool) -> None:
    found = subject(f"cni=calico;path={path}")
    assert ((found.source, found.target), found.same_node, found.service) == (ends, same, service)


@pytest.mark.parametrize(
    ("cni", "kernel", "offloaded"),
    [
        ("calico-3.23-vxlan", "5.15", True), ("calico-3.25-vxlan", "5.15", False), ("calico-3.28-vxlan", "6.1", False),
        ("calico-3.29-vxlan", "6.1", True), ("calico-vxlan", "6.1", True), ("calico-vxlan", "5.4", False),
        ("canal", "5.4", True), ("canal-3.26", "5.15", True), ("calico-3.25-ipip", "5.15", True),
    ],
)  # fmt: skip
def test_checksums_of_calicos_tunnel(cni: str, kernel: str, offloaded: bool) -> None:
    """Calico turned its own tunnel device's off in releases 3.25 to 3.28; Canal's device is Flannel's."""
    assert subject(f"cni={cni}", kernel).checksum is offloaded


def test_a_sentence_describes_the_hosts() -> None:
    words = "2x AMD Ryzen 9 3950X (16 cores/32 threads), Intel E810 100 Gbit/s back-to-back, kernel 5.10, MTU 1500"
    read = Hardware.model_validate({"description": words})
    assert (read.cores, read.nic_bps, read.kernel, read.mtu, read.virtual) == (32, 100e9, "5.10", 1500, False)
    stated = Hardware.model_validate({"description": words, "nic": "25Gbit/s", "kernel": "6.1"})
    assert (stated.nic_bps, stated.kernel, stated.cores) == (25e9, "6.1", 32)
    small = Hardware.model_validate({"description": "m5.large on EC2, Ubuntu 22.04, 2 vCPU, 10GbE"})
    assert (small.virtual, small.kernel, small.cores, small.nic_bps) == (True, "5.15", 2, 10e9)
    assert not Hardware.model_validate({"description": "c5.metal instance, bare metal, 3.6 GHz"}).virtual


def test_datagrams_between_programs_may_be_counted(tmp_path: Path) -> None:
    keys = "cni=kubenet;path=pod-pod-cross-node;msg_bytes=64"
    bits, each = run(tmp_path, f"a,udp_throughput,{keys},100,Mbit/s,\nb,udp_pps,{keys},200,kpps,\n").points
    assert bits.predicted * 1e6 == pytest.approx(each.predicted * 1e3 * 64 * 8)


def test_a_line_decides_only_rows_that_filled_it(tmp_path: Path) -> None:
    rows = "t,tcp_throughput,cni=calico;streams=1,{},Gbit/s,target\n"
    hosts = "hardware: {nic: 1Gbit/s}"
    assert len(run(tmp_path, rows.format(0.9), hosts).trivial) == 1
    (point,) = run(tmp_path, rows.format(0.3), hosts).points
    assert point.error > 2


def test_slow_hosts_are_asleep_between_hosts_and_less_within_one(tmp_path: Path) -> None:
    """Of a slow round trip between hosts, wake-ups by the card's interrupt are not paid within a host."""
    rows = (
        "b,tcp_rr_latency,cni=none;path=host-host,110,us,baseline\n"
        "a,tcp_rr_latency,cni=calico;path=pod-pod-same-node,50,us,target\n"
        "c,tcp_rr_latency,cni=calico;path=pod-pod-cross-node,120,us,target\n"
    )
    within, between = (point.predicted for point in run(tmp_path, rows, "hardware: {clock_ghz: 2.0}").points)
    assert 35 < within < 80
    assert between > 110


def test_round_trips_between_sleeping_cores_start_with_empty_caches(tmp_path: Path) -> None:
    """Where a stated clock says that a slow round trip is sleep, what a plugin adds is dearer; a stream is not."""

    def added(bare_us: int, metric: str = "tcp_rr_latency,{},45,us") -> float:
        rows = (
            f"b,tcp_rr_latency,cni=none;path=host-host,{bare_us},us,baseline\n"
            + "a," + metric.format("cni=calico;path=pod-pod-cross-node") + ",target\n"
        )  # fmt: skip
        return run(tmp_path, rows, "hardware: {clock_ghz: 3.0, nic: 100Gbit/s}").points[0].predicted

    awake, asleep = added(24) - 24, added(80) - 80
    assert asleep > 1.5 * awake
    stream = "tcp_throughput,{},20,Gbit/s"
    assert added(80, stream) > 0.7 * added(24, stream)


@pytest.mark.parametrize(
    ("kernel", "figure"),
    [
        ("5.4", "rule.chain_legacy"),
        ("4.4", "rule.chain_legacy"),
        ("5.10", "rule.chain"),
        ("6.2", "rule.chain_nft"),
        ("", "rule.chain"),
    ],
)
def test_a_kernel_tells_the_back_end_of_its_time(kernel: str, figure: str) -> None:
    assert back_end(Hardware(kernel=kernel)) == figure


@pytest.mark.parametrize(
    ("hosts", "slow"),
    [("two Xeon E5-2620 2.0 GHz", True), ("Xeon Gold 6128", True), ("Xeon Silver 4210R", False), ("Ryzen 9", False)],
)
def test_a_processor_tells_whether_calls_take_trampolines(hosts: str, slow: bool) -> None:
    assert trampolines(Hardware(description=hosts)) is slow


def test_programs_of_kept_connections_are_those_of_new_ones(tmp_path: Path) -> None:
    hosts = "hardware: {cores: 4, clock_ghz: 3.0}"
    kept = "b,http_rps,cni=kubenet;keepalive=on,{},req/s,baseline\n"
    new = "t,http_rps,cni=kubenet;keepalive=off,9000,req/s,target\n"
    slow, fast = (run(tmp_path, kept.format(rate) + new, hosts).points[0].predicted for rate in (10_000, 100_000))
    assert slow < 10_000 < fast < 100_000


def test_messages_of_short_connections(tmp_path: Path) -> None:
    rows = "".join(f"t{size},tcp_crr_latency,cni=none;msg_bytes={size},90,us,target\n" for size in (1, 16384))
    small, large = (point.predicted for point in run(tmp_path, rows).points)
    assert large > small + 2


def test_keys_that_equal_rows_share_are_not_called_unused(tmp_path: Path) -> None:
    rows = "".join(f"r{p},first_packet_latency_p{p},proxy=iptables;services=5000,0.1,ms,target\n" for p in (50, 99))
    assert run(tmp_path, rows).unknown == ()


def test_percentiles_in_their_order(tmp_path: Path) -> None:
    """Without baseline rows of a percentile the mean stands in, wider the further out; with one it is the one."""
    rows = "b,tcp_rr_latency,cni=none,30,us,baseline\n"
    rows += "".join(f"t{p},tcp_rr_latency_p{p},cni=none;path=host-host,40,us,target\n" for p in (25, 50, 90, 99, 99.9))
    predicted = [point.predicted for point in run(tmp_path, rows).points]
    assert predicted == sorted(set(predicted))
    assert predicted[1] == pytest.approx(30)
    assert predicted[3] == pytest.approx(30 * 1.64)
    own = run(tmp_path, rows + "b99,tcp_rr_latency_p99,cni=none,80,us,baseline\n")
    assert next(point.predicted for point in own.points if point.id == "t99") == pytest.approx(80)


def test_a_server_of_unknown_work(tmp_path: Path) -> None:
    target = "t,http_latency_p99,cni=calico;path=service,1,ms,target\n"
    (refused,) = run(tmp_path, target).excluded
    assert "server" in refused.reason
    assert not run(tmp_path, "b,http_latency_mean,cni=none,0.5,ms,baseline\n" + target).excluded


def test_one_flow_stands_in_for_many(tmp_path: Path) -> None:
    rows = (
        "b,tcp_throughput,cni=none;path=host-host-same-node;streams=1,12,Gbit/s,baseline\n"
        "t,tcp_throughput,cni=kubenet;path=pod-pod-same-node;streams=2,20,Gbit/s,target\n"
    )
    (point,) = run(tmp_path, rows, "hardware: {cores: 32, clock_ghz: 3.0}").points
    assert 16 < point.predicted < 24


def test_cores_of_a_host_limit_its_flows(tmp_path: Path) -> None:
    rows = "".join(
        f"t{streams},tcp_throughput,cni=kubenet;path=pod-pod-same-node;streams={streams},50,Gbit/s,target\n"
        for streams in (1, 2, 64, 128)
    )
    one, two, many, more = (point.predicted for point in run(tmp_path, rows, "hardware: {cores: 4}").points)
    assert one < two
    assert many == pytest.approx(more)
    assert many < 4 * one


@pytest.mark.parametrize(
    ("tool", "one"),
    [("iperf3", True), ("iperf 3.9", False), ("iperf3-3.9", True), ("iperf3 3.16", False), ("iperf3-3.17", False),
     ("iperf2", False), ("netperf", False)],
)  # fmt: skip
def test_tools_of_one_thread(tool: str, one: bool) -> None:
    assert one_threaded(Setting.read(f"cni=none;tool={tool}")) is one


def test_tunnels_without_checksums_do_not_slow_pods_of_one_node() -> None:
    configuration = "cni=calico-3.25;encapsulation=vxlan;path=pod-pod-{}-node"
    assert not subject(configuration.format("cross")).checksum
    assert subject(configuration.format("same")).checksum


def test_ways_of_single_packets(tmp_path: Path) -> None:
    """Tracking and translating cost something, a bridge is no router, and AF_XDP is not XDP."""
    ways = ("linux-bridge", "ip-forward", "ip-forward conntrack", "ip-forward nat", "xdp-redirect", "veth-xdp-redirect")
    rows = "".join(
        f"{number},pps_per_core,cni=none;path=nic-forward-nic;function={way},1,Mpps,target\n"
        for number, way in enumerate(ways)
    )
    refused = "z,pps_per_core,cni=none;path=nic-forward-nic;function=af-xdp forward,1,Mpps,target\n"
    result = run(tmp_path, rows + refused)
    rates = {ways[int(point.id)]: point.predicted for point in result.points}
    assert rates["linux-bridge"] > rates["ip-forward"] > rates["ip-forward conntrack"] > rates["ip-forward nat"]
    assert rates["xdp-redirect"] > 2 * rates["veth-xdp-redirect"]
    assert [row.id for row in result.excluded] == ["z"]


@pytest.mark.parametrize(
    ("key", "text", "number"),
    [
        ("services", "10,000", 10_000), ("services", "10k", 10_000), ("services", "5K Services", 5_000),
        ("services", "1e4", 10_000), ("services", "few", 1), ("services", "3 kinds", 3), ("msg_bytes", "64KB", 65_536),
        ("msg_bytes", "16 KiB", 16_384), ("msg_bytes", "1448B", 1448), ("min_sync_s", "500ms", 0.5),
    ],
)  # fmt: skip
def test_numbers_of_keys(key: str, text: str, number: float) -> None:
    assert Setting({key: text}).number(key) == number


@pytest.mark.parametrize(
    ("metric", "configuration", "unit"),
    [
        ("queries_per_lookup", "search=cluster-default", "queries"), ("qps", "replicas=two", "q/s"),
        ("qps", "vcpu=0", "q/s"), ("worst_lookup_timeout", "attempts=some", "s"),
        ("tcp_throughput", "cni=none;streams=many", "Gbit/s"), ("tcp_throughput", "cni=none;streams=0", "Gbit/s"),
        ("list_api_calls_per_min", "interval=0", "calls/min"),
    ],
)  # fmt: skip
def test_a_key_that_is_no_number_excludes_its_row(tmp_path: Path, metric: str, configuration: str, unit: str) -> None:
    rows = f"a,{metric},{configuration},1,{unit},target\nb,tcp_throughput,cni=none,9,Gbit/s,target\n"
    result = run(tmp_path, rows)
    assert [row.id for row in result.excluded] == ["a"]
    assert "configuration." in result.excluded[0].reason


def test_names_of_dns_servers(tmp_path: Path) -> None:
    """Releases, and other names of the same server, change nothing."""
    names = ("coredns", "coredns-1.9.3", "CoreDNS 1.8", "node-local-dns", "nodelocaldns", "bind", "bind9",
             "unbound-1.17")  # fmt: skip
    rows = "".join(f"{name},qps,server={name};vcpu=1,1000,q/s,target\n" for name in (*names, "knot"))
    result = run(tmp_path, rows)
    rates = {point.id: point.predicted for point in result.points}
    assert [row.id for row in result.excluded] == ["knot"]
    assert len({rates[name] for name in names[:5]}) == len({rates[name] for name in names[5:]}) == 1
