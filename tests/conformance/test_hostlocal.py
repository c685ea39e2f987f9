"""host-local IPAM against the reference plugin's own cases."""

from __future__ import annotations

import json
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest

from netsim.cluster.cni.hostlocal import HostLocal, Range, range_sets
from netsim.errors import InputError

CASES = Path(__file__).parents[2].parent / "shared" / "conformance" / "ipam_cases.json"
if not CASES.exists():
    pytest.skip("the shared conformance cases are not here", allow_module_level=True)
TRUTH: dict[str, Any] = json.loads(CASES.read_text())["host_local"]


def _next(case: dict[str, Any]) -> str:
    last = {0: case["last"]} if case["last"] else None
    node = HostLocal(range_sets([case["subnets"]]), reserved=case["used"], last=last)
    try:
        return node.allocate()[0]
    except InputError as error:
        assert "no IP addresses available in range set" in str(error)
        return "error: full"


@pytest.mark.parametrize("case", TRUTH["allocate"], ids=lambda case: f"{case['subnets']}-{case['last']}")
def test_next_address(case: dict[str, Any]) -> None:
    assert _next(case) == case["next"]


@pytest.mark.parametrize("case", TRUTH["range_defaults"], ids=lambda case: case["subnet"])
def test_range_defaults(case: dict[str, Any]) -> None:
    built = Range.of(case["subnet"])
    wanted = [ip_address(case[name]) for name in ("start", "end", "gateway")]
    assert [built.start, built.end, built.gateway] == wanted


@pytest.mark.parametrize("case", TRUTH["range_errors"], ids=lambda case: case["error"][:40])
def test_range_errors(case: dict[str, Any]) -> None:
    with pytest.raises(InputError) as caught:
        Range.of(case["subnet"], range_end=case.get("rangeEnd"))
    wanted = "not in network" if case["error"] == "RangeEnd not in network" else case["error"]
    assert wanted in str(caught.value)


@pytest.mark.parametrize("case", TRUTH["range_set_errors"], ids=lambda case: case["error"][:40])
def test_range_set_errors(case: dict[str, Any]) -> None:
    sets = case["sets"] if isinstance(case["sets"], list) else [["10.1.0.0/22"], ["10.1.2.0/24"]]
    with pytest.raises(InputError) as caught:
        range_sets(sets)
    assert case["error"] in str(caught.value)


@pytest.mark.parametrize(
    ("subnet", "pods"), [("10.0.0.0/24", 253), ("10.0.0.0/29", 5), ("10.0.0.0/30", 1), ("10.244.0.0/26", 61)]
)
def test_capacity(subnet: str, pods: int) -> None:
    assert Range.of(subnet).capacity == pods
    node = HostLocal(range_sets([[subnet]]))
    assert len({node.allocate()[0] for _ in range(pods)}) == pods
    with pytest.raises(InputError, match="no IP addresses available"):
        node.allocate()
