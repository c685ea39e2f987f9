"""DNS servers in published rows: what a query costs by server, cache, limit and search path."""

from __future__ import annotations

from pathlib import Path

import pytest

from netsim.calibration.published.case import load_case
from netsim.calibration.published.validation import CaseResult, validate_case

HEADER = "id,metric,configuration,value,unit,role\n"


def run(folder: Path, rows: str) -> CaseResult:
    (folder / "published.csv").write_text(HEADER + rows, encoding="utf-8")
    return validate_case(load_case(str(folder)), draws=0)


def predicted(folder: Path, *configurations: str) -> list[float]:
    rows = "".join(f"r{n},qps,{text},1,query/s,target\n" for n, text in enumerate(configurations))
    return [point.predicted for point in run(folder, rows).points]


def test_a_limit_and_replicas_scale_what_a_server_answers(tmp_path: Path) -> None:
    one, limited, three = predicted(
        tmp_path, "server=CoreDNS;cores=1", "server=CoreDNS;cores=2;cpu=50m", "server=CoreDNS;cores=1;replicas=3"
    )
    assert limited == pytest.approx(one / 20)
    assert three == pytest.approx(3 * one)


def test_servers_differ_and_forwarding_costs(tmp_path: Path) -> None:
    go, native, missed = predicted(tmp_path, "server=CoreDNS", "server=Unbound", "server=Unbound;cache=off")
    assert go < missed < native


def test_a_server_that_follows_the_search_path_looks_up_every_name(tmp_path: Path) -> None:
    plain, followed, longer, inside = predicted(
        tmp_path, "autopath=off", "autopath=on", "autopath=on;search=6", "autopath=on;name=internal"
    )
    assert longer < followed < plain
    assert inside == plain


def test_a_server_without_a_price_is_excluded_with_the_reason(tmp_path: Path) -> None:
    result = run(tmp_path, "a,qps,server=PowerDNS,1,query/s,target\nb,qps,server=CoreDNS,1,query/s,target\n")
    assert [point.id for point in result.points] == ["b"]
    assert "no price for this DNS server" in result.excluded[0].reason


def test_an_environment_may_state_the_limit(tmp_path: Path) -> None:
    (tmp_path / "published.csv").write_text(
        "id,metric,configuration,value,unit,role,environment\n"
        "a,qps,server=CoreDNS,1,query/s,target,2 nodes of 1 core\n"
        'b,qps,server=CoreDNS,1,query/s,target,"2 nodes of 1 core, cache limited to 50m CPU"\n',
        encoding="utf-8",
    )
    whole, limited = (point.predicted for point in validate_case(load_case(str(tmp_path)), draws=0).points)
    assert limited < whole / 10
