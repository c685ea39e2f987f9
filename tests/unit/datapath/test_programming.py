"""What syncs cost: each mode's law of growth, on tables of ordinary Services and on a cluster's own."""

from __future__ import annotations

from dataclasses import replace

import pytest

from netsim.cluster.cluster import Cluster
from netsim.cluster.objects import Endpoint, EndpointPort, Node, Service, ServicePort
from netsim.cluster.service_rules.config import ProxyMode
from netsim.datapath.costs import load_profile
from netsim.datapath.programming import (
    SyncSize,
    full_size,
    legacy_lines,
    legacy_restore_seconds,
    nft_maps_ns,
    programming,
    sync_seconds,
)

PRICES = load_profile("server").prices()
MODES: tuple[ProxyMode, ...] = ("iptables", "nftables", "ipvs", "ebpf")


def cluster(services: int, endpoints: int = 2) -> Cluster:
    made = tuple(
        Service("shop", f"s{n}", cluster_ips=(f"10.96.{n // 250}.{n % 250 + 1}",), ports=(ServicePort(80),))
        for n in range(services)
    )
    ends = tuple(Endpoint(f"10.0.1.{n + 2}", (EndpointPort(8080),), node="a") for n in range(endpoints))
    return Cluster(
        nodes=(Node("a", ("192.0.2.1",)),), services=made, slices={each.key: ends for each in made},
        cluster_cidrs=("10.0.0.0/16",), service_cidrs=("10.96.0.0/12",),
    )  # fmt: skip


@pytest.mark.parametrize("mode", MODES)
def test_every_mode_takes_time_and_longer_for_more(mode: ProxyMode) -> None:
    few, many = (programming(cluster(n), mode, ["shop/s0"], PRICES) for n in (20, 200))
    assert 0 < few.sync_s <= few.full_s
    assert few.full_s < many.full_s
    assert programming(cluster(0), mode, [], PRICES).full_s == 0.0


@pytest.mark.parametrize("mode", MODES)
def test_a_slower_machine_takes_proportionally_longer(mode: ProxyMode) -> None:
    size = full_size(mode, 100, 200)
    assert sync_seconds(mode, size, PRICES.on(2.0)) == pytest.approx(2 * sync_seconds(mode, size, PRICES))


def test_the_sizes_of_ordinary_services_are_those_the_rules_count() -> None:
    # what every node has beside (base chains, hairpin sets) is a few dozen, whatever the number of Services
    for mode in MODES:
        one, more = (programming(cluster(n), mode, [], PRICES).full_s for n in (100, 300))
        told = [sync_seconds(mode, full_size(mode, n, 2 * n), PRICES, full=True) for n in (100, 300)]
        assert more - one == pytest.approx(told[1] - told[0], rel=0.35), mode


def test_verdict_maps_make_nftables_quadratic_and_endpoints_do_not() -> None:
    def seconds(services: float, endpoints: float) -> float:
        return sync_seconds("nftables", full_size("nftables", services, endpoints), PRICES, full=True)

    assert seconds(40000, 40000) / seconds(20000, 20000) == pytest.approx(4.0, rel=0.1)
    assert seconds(10, 200000) / seconds(10, 100000) == pytest.approx(2.0, rel=0.02)


@pytest.mark.parametrize(("services", "endpoints", "took_s"), [(2000, 2, 0.58), (1000, 40, 2.5), (1500, 50, 8.36)])
def test_maps_cost_what_the_kernel_took_for_them(services: int, endpoints: int, took_s: float) -> None:
    # walks and names of profiles of nft -f; the last by kernel time a line, 50.2 us where few Services take 14
    size = full_size("nftables", services, services * endpoints)
    assert nft_maps_ns(size, PRICES) * 1e-9 == pytest.approx(took_s, rel=0.3)
    assert nft_maps_ns(size._replace(each=0.0), PRICES) == 0.0


def test_older_kernels_take_longer_for_maps_alone() -> None:
    new = full_size("nftables", 5006, 250011)
    kernels = (None, (6, 13), (6, 12), (6, 10), (6, 9))
    times = [sync_seconds("nftables", new, PRICES, full=True, kernel=kernel) for kernel in kernels]
    assert times[0] == times[1]
    assert times == sorted(times)
    assert times[-1] > 3 * times[0]
    for mode in ("iptables", "ipvs", "ebpf"):
        size = full_size(mode, 500, 1000)
        assert sync_seconds(mode, size, PRICES, kernel=(5, 15)) == sync_seconds(mode, size, PRICES), mode


def test_a_nodes_kernel_decides_how_long_its_proxy_takes() -> None:
    now = cluster(300)
    old = replace(now, nodes=tuple(replace(n, machine=replace(n.machine, kernel=(5, 15))) for n in now.nodes))
    assert programming(old, "nftables", [], PRICES).full_s > programming(now, "nftables", [], PRICES).full_s
    assert programming(old, "iptables", [], PRICES) == programming(now, "iptables", [], PRICES)


def test_addresses_make_ipvs_quadratic() -> None:
    plain = SyncSize(1000, 1000)
    bound = plain._replace(each=10000), plain._replace(each=20000)
    first, second = (sync_seconds("ipvs", one, PRICES) - sync_seconds("ipvs", plain, PRICES) for one in bound)
    assert second / first == pytest.approx(4.0)


def test_partial_syncs_read_what_is_there() -> None:
    alone, among = SyncSize(10, 10), SyncSize(10, 100000)
    for mode, figure in (("iptables", "tool.iptables_nft_existing"), ("nftables", "tool.nft_existing")):
        longer = sync_seconds(mode, among, PRICES) - sync_seconds(mode, alone, PRICES)
        assert longer == pytest.approx(99990 * PRICES[figure] * 1e-9)
    assert sync_seconds("ebpf", among, PRICES) == sync_seconds("ebpf", alone, PRICES)


def test_lines_of_legacy_tables_beyond_the_caches_are_dearer() -> None:
    # 7.7 us a line in small tables; 10.7, 14.7 and 15.8 us at 55,000, 99,000 and 406,000 lines
    for lines, each_us in ((5e3, 7.7), (55e3, 10.7), (99e3, 14.7), (406e3, 15.8)):
        assert legacy_restore_seconds(lines, PRICES) / lines == pytest.approx(each_us * 1e-6, rel=0.12)
        assert legacy_lines(legacy_restore_seconds(lines, PRICES), PRICES) == pytest.approx(lines)


def test_a_table_that_is_there_makes_a_full_sync_of_nftables_longer() -> None:
    # kernel time of 4,000 Services of two endpoints: 2.36 s anew, 5.0 s over the same table; 3.0 and 11.6 another day
    new = full_size("nftables", 4000, 8000)
    first, again = (
        sync_seconds("nftables", new._replace(replaced=old), PRICES, full=True) for old in (0.0, new.each)
    )
    assert 5.0 - 2.36 < again - first < 11.6 - 3.0
    few = sync_seconds("nftables", full_size("nftables", 10, 20)._replace(replaced=10), PRICES, full=True)
    assert few == pytest.approx(sync_seconds("nftables", full_size("nftables", 10, 20), PRICES, full=True), rel=0.01)


def test_the_legacy_tool_writes_many_chains_faster_and_changes_slower() -> None:
    """It looks for no place in a list of chains, but puts the whole table back for a change."""
    now = cluster(3000)
    old = replace(now, nodes=tuple(replace(n, machine=replace(n.machine, iptables="legacy")) for n in now.nodes))
    changed = [now.services[0].key]
    nft, legacy = (programming(each, "iptables", changed, PRICES) for each in (now, old))
    assert legacy.full_s < nft.full_s
    assert legacy.sync_s > nft.sync_s
    assert programming(old, "nftables", changed, PRICES) == programming(now, "nftables", changed, PRICES)
