"""Tables laid out like kube-proxy's, and prices fitted to what tools took over them."""

from __future__ import annotations

import os
import shutil

import pytest

from netsim.calibration.kernel import syncs
from netsim.calibration.kernel.syncs import iptables_table, measure_syncs, nft_table
from netsim.datapath.costs import load_profile
from netsim.datapath.programming import full_size

IS_ROOT = hasattr(os, "geteuid") and os.geteuid() == 0


@pytest.mark.parametrize(("services", "endpoints"), [(10, 1), (40, 3), (3, 25)])
def test_tables_have_the_lines_the_model_counts(services: int, endpoints: int) -> None:
    for mode, table in (("iptables", iptables_table), ("nftables", nft_table)):
        beside = table(services, endpoints).lines - full_size(mode, services, services * endpoints).written
        assert 0 < beside < 10, mode


def test_addresses_and_names_are_each_used_once() -> None:
    lines = nft_table(300, 2).text.splitlines()
    chains = [line for line in lines if line.startswith("add chain")]
    assert len(set(chains)) == len(chains)
    later = nft_table(1, 2, first=300).text.splitlines()
    assert not set(later) & set(lines)


def test_two_prices_are_found_again_and_a_useless_count_costs_nothing() -> None:
    first, second = [10.0, 50.0, 200.0, 400.0], [5.0, 900.0, 40.0, 8000.0]
    one, two = syncs._fitted([3 * a + 0.5 * b for a, b in zip(first, second, strict=True)], first, second)
    assert (one.value, two.value) == (pytest.approx(3.0), pytest.approx(0.5))
    assert one.low == pytest.approx(one.high)
    alone, none = syncs._fitted([7 * a for a in first], first, [a * a for a in first])
    assert alone.value == pytest.approx(7.0)
    assert none.value == pytest.approx(0.0, abs=1e-9)


@pytest.mark.skipif(not IS_ROOT or shutil.which("nft") is None, reason="needs root and nft")
def test_this_machine_measures_figures_a_profile_has(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(syncs, "SIZES", ((50, 2), (100, 2), (10, 20)))
    found, missing = measure_syncs()
    known = load_profile("server").figures
    assert set(found) <= set(known)
    assert found["tool.nft_line"].value > 100.0
    assert all(0 <= price.low <= price.value <= price.high for price in found.values())
    assert len(missing) + len(found) / 3 >= 1
