"""Plugins: the shipped ones, combinations that cannot exist, a user's own file, and wrong ones."""

from __future__ import annotations

from pathlib import Path

import pytest
from small_cluster import small_cluster

from netsim.datapath.datapath import Datapath
from netsim.datapath.plugin import PROXY_MODES, EniAddresses, combination, load_plugin, plugin_names
from netsim.errors import InputError

ALL = {
    "kubenet", "bridge-l2", "flannel-host-gw", "flannel-vxlan", "calico-bgp", "calico-ipip", "calico-vxlan",
    "calico-ebpf", "calico-ebpf-vxlan", "cilium-native", "cilium-vxlan", "antrea-geneve", "antrea-proxy", "kube-router",
    "aws-vpc",
    "azure", "weave",
}  # fmt: skip
POSSIBLE = [(name, mode) for name in sorted(ALL) for mode in PROXY_MODES if not combination(load_plugin(name), mode)]


def test_shipped_plugins() -> None:
    assert set(plugin_names()) == ALL
    assert all(load_plugin(name).name == name for name in ALL)


@pytest.mark.parametrize("name", sorted(ALL))
def test_every_mode_has_legs_or_a_reason(name: str) -> None:
    plugin = load_plugin(name)
    assert combination(plugin, plugin.usual_proxy) is None
    for mode in PROXY_MODES:
        reason = combination(plugin, mode)
        if reason is None:
            assert plugin.legs_for(mode).egress
        else:
            with pytest.raises(InputError, match="cannot exist"):
                plugin.legs_for(mode)


def test_services_by_ebpf_need_an_ebpf_data_plane() -> None:
    with_ebpf = {name for name, mode in POSSIBLE if mode == "ebpf"}
    assert with_ebpf == {"calico-ebpf", "calico-ebpf-vxlan", "cilium-native", "cilium-vxlan"}
    assert [mode for name, mode in POSSIBLE if name == "calico-ebpf"] == ["ebpf"]


def test_unknown_mode_and_plugin() -> None:
    with pytest.raises(InputError, match="iptables, ipvs, nftables, ebpf"):
        combination(load_plugin("kubenet"), "userspace")
    with pytest.raises(InputError, match="flannel-vxlan"):
        load_plugin("romana")


@pytest.mark.parametrize(
    ("name", "mtu"),
    [("kubenet", 1500), ("flannel-vxlan", 1450), ("calico-ipip", 1480), ("antrea-geneve", 1450), ("azure", 1500)],
)
def test_pod_mtu(name: str, mtu: int) -> None:
    assert load_plugin(name).pod_mtu_bytes(1500) == mtu


def test_pod_mtu_over_ipv6_nodes() -> None:
    assert load_plugin("flannel-vxlan").pod_mtu_bytes(1500, ipv6_underlay=True) == 1430


def test_eni_addresses() -> None:
    assert EniAddresses(interfaces=8, addresses_each=30).pods == 234
    assert EniAddresses(interfaces=3, addresses_each=10).pods == 29


@pytest.mark.parametrize(("name", "mode"), POSSIBLE)
def test_every_combination_carries_traffic_both_ways(name: str, mode: str) -> None:
    datapath = Datapath(small_cluster(), name, mode)  # type: ignore[arg-type]
    for source, target, service in ((0, 0, None), (0, 1, None), (0, 4, None), (0, 4, ("shop/inner", 80))):
        found = datapath.routes(source, target, port=8080, service=service)
        assert found.verdict == "ALLOW"
        for route in (found.first, found.first_reply, found.forward, found.reply):
            assert all(item.fixed_s >= 0 for item in route.passes)
            assert not route.black_hole
        first = sum(item.fixed_s for item in found.first.passes)
        assert first > sum(item.fixed_s for item in found.forward.passes)


def test_ebpf_paths_are_the_cheapest_and_overlays_dearer_than_routing() -> None:
    def work(name: str) -> float:
        return sum(item.fixed_s for item in Datapath(small_cluster(), name).routes(0, 4).forward.passes)

    assert work("cilium-native") < work("calico-bgp") < work("calico-vxlan")
    assert work("flannel-host-gw") < work("flannel-vxlan")
    assert work("calico-ebpf") < work("calico-vxlan")


MINIMAL = """
name: mine
title: a routed plugin of my own
impossible: {ebpf: none}
legs:
  default:
    egress: [veth, route]
    ingress: [route, veth]
    local: [veth, {hop: ovs}, veth]
    host_to_pod: [veth]
    pod_to_host: [veth]
"""


def test_own_plugin(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text(MINIMAL)
    names = [name for name, _, _ in Datapath(small_cluster(), load_plugin(str(file))).routes(0, 4).forward.hops]
    assert names.count("veth") == names.count("route") == 2
    assert "conntrack" not in names


def test_packets_walk_a_list_of_rules_where_a_plugin_has_one(tmp_path: Path) -> None:
    def work(rules: str) -> float:
        file = tmp_path / "mine.yaml"
        file.write_text(MINIMAL.replace("egress: [veth, route]", f"egress: [veth, {rules}route]"))
        datapath = Datapath(small_cluster(), load_plugin(str(file)))
        return sum(item.fixed_s for item in datapath.routes(0, 4).forward.passes)

    without, few, many = work(""), work("{hop: rules, rules: 100}, "), work("{hop: rules, rules: 300}, ")
    assert many - few > 1.5 * (few - without) > 0  # the table is entered once
    assert work("{hop: rules, match: ipset}, ") < few


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (("egress: [veth, route]", "egress: [veth, teleport]"), "teleport"),
        (("[route, veth]", "[route, {hop: veth, speed: 3}]"), "speed"),
        (("impossible: {ebpf: none}", "colour: blue"), "colour"),
        (("impossible: {ebpf: none}", "encapsulation: {kind: gre}"), "gre"),
        (("default:", "iptables:"), "no legs for proxy mode"),
        (("legs:", "legs: ["), "not valid YAML"),
    ],
)
def test_a_wrong_plugin_is_one_message(tmp_path: Path, change: tuple[str, str], says: str) -> None:
    file = tmp_path / "wrong.yaml"
    file.write_text(MINIMAL.replace(*change))
    with pytest.raises(InputError, match=r"wrong\.yaml") as caught:
        load_plugin(str(file))
    assert says in str(caught.value)
