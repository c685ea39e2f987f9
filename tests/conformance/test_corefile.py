"""Every Corefile acceptance case, and the collected configurations."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from netsim.cluster.corefile import Cache, Corefile, Forward, Hosts, Kubernetes, parse_corefile
from netsim.errors import InputError

SHARED = Path(__file__).parents[2].parent / "shared"
CASES_FILE = SHARED / "conformance" / "corefile_parse_cases.json"
COREFILES = SHARED / "inputs" / "corefiles"
if not CASES_FILE.exists():
    pytest.skip("the shared Corefile cases are not here", allow_module_level=True)
DATA = json.loads(CASES_FILE.read_text())


def outcome(text: str) -> Corefile | InputError:
    try:
        return parse_corefile(text)
    except InputError as error:
        return error


@pytest.mark.parametrize("case", DATA["directive_cases"], ids=lambda case: case["input"][:40])
def test_directive(case: dict) -> None:
    found = outcome(".:53 {\n" + case["input"] + "\n}\n")
    assert isinstance(found, Corefile) == case["valid"], found
    if not case["valid"]:
        assert case.get("error_contains", "") in str(found)
        assert isinstance(found, InputError) and found.place.line


@pytest.mark.parametrize("case", DATA["file_cases"], ids=lambda case: case["input"][:40])
def test_file(case: dict) -> None:
    found = outcome(case["input"])
    assert isinstance(found, Corefile) == case["valid"], found
    if isinstance(found, Corefile):
        assert len(found.servers) == case.get("servers", len(found.servers))
    else:
        assert case.get("error_contains", "") in str(found)


def test_defaults() -> None:
    block = parse_corefile(".:53 {\n kubernetes a.b\n cache\n forward . 192.0.2.1\n}").servers[0]
    kubernetes, cache, forward = block.first(Kubernetes), block.first(Cache), block.first(Forward)
    assert kubernetes and cache and forward
    expected = DATA["defaults"]
    assert (kubernetes.pods, kubernetes.ttl_s) == (expected["kubernetes"]["pods"], expected["kubernetes"]["ttl"])
    assert cache.success.max_ttl_s == expected["cache"]["ttl_success_max"]
    assert cache.denial.max_ttl_s == expected["cache"]["ttl_denial_max"]
    assert cache.success.capacity == expected["cache"]["capacity_each"]
    assert (forward.max_fails, forward.policy) == (expected["forward"]["max_fails"], expected["forward"]["policy"])
    assert (forward.expire_s, forward.health_check_s) == (10.0, 0.5)


@pytest.mark.parametrize("entry", json.loads((COREFILES / "INDEX.json").read_text())["files"], ids=lambda e: e["file"])
def test_collected(entry: dict) -> None:
    text = (COREFILES / entry["file"]).read_text()
    if "valid_before" in entry:
        with pytest.raises(InputError, match="unknown property 'upstream'"):
            parse_corefile(text)
        return
    found = parse_corefile(text)
    block = found.servers[-1]
    kubernetes, cache, forward = block.first(Kubernetes), block.first(Cache), block.first(Forward)
    assert len(found.servers) == entry.get("server_blocks", len(found.servers))
    assert (kubernetes is not None) == entry.get("kubernetes_plugin", True)
    if "zones" in entry and kubernetes:
        assert list(kubernetes.zones) == [f"{zone}." for zone in entry["zones"]]
    if "pods" in entry and kubernetes:
        assert kubernetes.pods == entry["pods"]
    if "ttl" in entry and kubernetes:
        assert kubernetes.ttl_s == entry["ttl"]
    if isinstance(entry.get("cache"), int) and cache:
        assert cache.success.max_ttl_s == cache.denial.max_ttl_s == entry["cache"]
    if "max_concurrent" in entry and forward:
        assert forward.max_concurrent == {"unlimited": 0}.get(entry["max_concurrent"], entry["max_concurrent"])
    if "inline_hosts" in entry:
        hosts = block.first(Hosts)
        assert hosts is not None and len(hosts.entries) == entry["inline_hosts"]
    if "bind" in entry:
        assert list(block.bind) == entry["bind"]


def test_node_local() -> None:
    found = parse_corefile((COREFILES / "nodelocaldns.Corefile").read_text())
    cluster, rest = found.servers[0], found.servers[-1]
    cache, forward, outside = cluster.first(Cache), cluster.first(Forward), rest.first(Forward)
    assert cache and forward and outside
    assert (cache.success.max_ttl_s, cache.denial.max_ttl_s) == (30, 5)
    assert forward.force_tcp and not outside.force_tcp


def test_custom_config_map() -> None:
    """Override files land inside the default block, server files after it; globs that match nothing only warn."""
    text = (COREFILES / "aks-style.Corefile").read_text()
    assert len(parse_corefile(text).warnings) == 2
    data = json.loads((COREFILES / "aks_custom.json").read_text())["data"]
    files = {f"custom/{item['key']}": item["text"] for items in data.values() for item in items}
    found = parse_corefile(text, files=files)
    assert [server.addresses[0].zone for server in found.servers] == [
        ".", "puglife.local.", "abc.com.", "my.cluster.local.",
    ]  # fmt: skip
    hosts = found.servers[0].first(Hosts)
    assert hosts is not None and len(hosts.entries) == 3
