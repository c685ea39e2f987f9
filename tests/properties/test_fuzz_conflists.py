"""Mutated CNI configurations: either a described network or one clear message, never a traceback."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from netsim.cluster.cni.conflist import parse_conflist
from netsim.cluster.cni.network import FlannelBackend, NodeFacts
from netsim.errors import InputError

EXAMPLES = 2400
RANGES = [[{"subnet": "10.20.0.0/24", "gateway": "10.20.0.1"}], [{"subnet": "fd20::/64"}]]
POOL = {"type": "host-local", "ranges": RANGES}
DOCUMENTS: tuple[dict[str, Any], ...] = tuple(
    {"cniVersion": "1.0.0", "name": "pods", "plugins": plugins}
    for plugins in (
        [{"type": "bridge", "bridge": "br0", "isGateway": True, "ipMasq": True, "mtu": 1500, "ipam": POOL}],
        [{"type": "ptp", "mtu": 1460, "ipam": POOL}, {"type": "portmap", "capabilities": {"portMappings": True}}],
        [{"type": "bridge", "vlan": 12, "ipam": POOL}, {"type": "firewall", "backend": "iptables"}],
        [{"type": "bridge", "ipam": POOL}, {"type": "bandwidth", "ingressRate": 8000, "ingressBurst": 16000}],
        [{"type": "macvlan", "master": "eth1", "mode": "bridge", "ipam": {"type": "dhcp"}}],
        [{"type": "flannel", "delegate": {"hairpinMode": True}}, {"type": "portmap", "snat": True}],
        [{"type": "calico", "mtu": 1480, "ipam": {"type": "calico-ipam"}, "policy": {"type": "k8s"}}],
        [{"type": "cilium-cni", "enable-debug": False}],
        [{"type": "aws-cni", "vethPrefix": "eni", "mtu": "9001"}, {"type": "tuning", "sysctl": {"net.a": "1"}}],
        [{"type": "weave-net", "hairpinMode": True}],
        [{"type": "multus", "clusterNetwork": "main", "delegates": [{"type": "ptp"}]}],
    )
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=5,
)
NODE = NodeFacts(pod_cidrs=("10.244.1.0/24",), flannel=FlannelBackend("vxlan"))


def _places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Yield every (container, key) of a document."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in list(items):
        yield value, key
        yield from _places(inner)


@st.composite
def mutated(draw: st.DrawFn) -> str:
    document = copy.deepcopy(draw(st.sampled_from(DOCUMENTS)))
    for _ in range(draw(st.integers(1, 2))):
        where, key = draw(st.sampled_from(list(_places(document))))
        kind = draw(st.sampled_from(["add", "add", "add", "recase", "chain", "chain", "number", "delete", "replace"]))
        if kind == "add" and isinstance(where, dict):
            where[draw(st.text("abcxyz", min_size=4, max_size=8))] = draw(JSON)
        elif kind == "recase" and isinstance(where, dict):
            where[str(key).swapcase()] = where.pop(key)
        elif kind == "chain":
            document.setdefault("plugins", [])
            if isinstance(document["plugins"], list):
                document["plugins"].append({"type": draw(st.sampled_from(["portmap", "tuning", "sbr", "loopback"]))})
        elif kind == "number" and isinstance(where[key], int):
            where[key] = draw(st.integers(0, 4000))
        elif kind == "delete":
            del where[key]
        elif kind == "replace":
            where[key] = draw(JSON)
    text = json.dumps(document, indent=draw(st.sampled_from([None, 1])))
    if draw(st.integers(0, 11)) == 0:
        at = draw(st.integers(0, len(text)))
        text = text[:at] + draw(st.text(max_size=3)) + text[at + draw(st.integers(0, 4)) :]
    return text


def test_only_a_network_or_one_message(record_property: pytest.RecordProperty) -> None:
    seen = {"accepted": 0, "refused": 0}

    @settings(
        max_examples=EXAMPLES, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck)
    )
    @given(mutated())
    def run(text: str) -> None:
        try:
            network = parse_conflist(text, "10-fuzz.conflist").describe(NODE)
        except InputError as error:
            seen["refused"] += 1
            assert "10-fuzz.conflist" in str(error)
            str(error).encode()
        else:
            seen["accepted"] += 1
            json.dumps(network.to_dict(), ensure_ascii=False).encode()

    run()
    total = seen["accepted"] + seen["refused"]
    print(f"conflists: {seen['accepted']} accepted of {total}")
    record_property("accepted", seen["accepted"])
    assert total >= 2000
    assert seen["accepted"] * 2 >= total
