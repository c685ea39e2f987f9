"""CNI configurations of other projects: accepted or refused as the components do, and read for what they are."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from netsim.cluster.cni.conflist import load_conflist, parse_flannel_backend
from netsim.cluster.cni.network import NodeFacts, NodeNetwork
from netsim.errors import InputError

FOLDER = Path(__file__).parents[2].parent / "shared" / "inputs" / "cni"
if not FOLDER.exists():
    pytest.skip("the shared CNI configurations are not here", allow_module_level=True)
FILES: list[dict[str, Any]] = json.loads((FOLDER / "INDEX.json").read_text())["files"]
VALID = [each for each in FILES if each["valid"]]
INVALID = [each for each in FILES if not each["valid"]]
FACTS: dict[str, Any] = {
    "bridge": lambda network: network.bridge,
    "hairpin": lambda network: network.hairpin,
    "pod_mtu": lambda network: network.mtu_bytes,
    "ip_masq": lambda network: network.masquerade,
    "overhead_bytes": lambda network: network.overhead_bytes,
    "ingress_bits_per_s": lambda network: network.ingress.rate_bps,
    "egress_bits_per_s": lambda network: network.egress.rate_bps,
    "burst_bits": lambda network: network.ingress.burst_bits,
}


def _network(fact: dict[str, Any]) -> NodeNetwork:
    return load_conflist(FOLDER / fact["file"]).describe(NodeFacts(pod_cidrs=("10.244.3.0/24",)))


@pytest.mark.parametrize("fact", VALID, ids=lambda fact: fact["file"])
def test_accepted_with_its_facts(fact: dict[str, Any]) -> None:
    assert list(load_conflist(FOLDER / fact["file"]).chain) == fact["chain"]
    network = _network(fact)
    for name, read in FACTS.items():
        if name in fact:
            assert read(network) == fact[name], name
    if "encap" in fact:
        assert network.encapsulation == fact["encap"].split()[0]
    if "ipam" in fact and network.attachment != "ptp":
        assert network.ipam.split("-")[0] in fact["ipam"] or network.ipam in fact["ipam"]
    assert all(isinstance(hop, str) for hop in network.hops)


@pytest.mark.parametrize("fact", INVALID, ids=lambda fact: fact["file"])
def test_refused_with_the_components_words(fact: dict[str, Any]) -> None:
    with pytest.raises(InputError) as caught:
        load_conflist(FOLDER / fact["file"])
    assert fact.get("expected_error", "not a CNI one") in str(caught.value)
    assert fact["file"] in str(caught.value)


@pytest.mark.parametrize("fact", [each for each in INVALID if "kind" in each], ids=lambda fact: fact["file"])
def test_flannels_own_file_is_read_for_what_it_is(fact: dict[str, Any]) -> None:
    backend = parse_flannel_backend((FOLDER / fact["file"]).read_text())
    assert backend.encapsulation == fact["encap"]
    network = load_conflist(FOLDER / "10-flannel.conflist").describe(NodeFacts(flannel=backend))
    assert (network.overhead_bytes, network.mtu_bytes) == (fact.get("overhead_bytes", 50), 1450)


def test_the_first_file_by_name_wins() -> None:
    assert load_conflist(FOLDER).chain == ("multus",)
