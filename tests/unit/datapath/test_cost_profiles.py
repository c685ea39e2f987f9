"""Cost profiles: sources, ranges, machines, regimes, and what a wrong one says."""

from __future__ import annotations

from pathlib import Path

import pytest

from netsim.datapath.costs import CostProfile, Prices, load_profile, machine_factor, profile_names
from netsim.errors import InputError

PUBLISHED = ("D", "J", "K", "L", "O", "X", "V")
"""Sources that are also validated against."""


@pytest.mark.parametrize("name", profile_names())
def test_shipped_profiles_state_source_range_and_validity(name: str) -> None:
    profile = load_profile(name)
    assert profile.valid_for
    assert set(profile.figures) == set(load_profile("server").figures)
    for figure in profile.figures.values():
        for estimate in figure.estimates:
            assert estimate.source in profile.sources
            assert estimate.low <= estimate.value <= estimate.high


@pytest.mark.parametrize("name", profile_names())
@pytest.mark.parametrize("source", PUBLISHED)
def test_every_published_source_can_be_left_out(name: str, source: str) -> None:
    prices = load_profile(name).prices(excluded=[source])
    assert prices["veth.packet"] > 0


def test_leaving_a_source_out_takes_the_next_estimate() -> None:
    server = load_profile("server")
    assert server.prices()["nic.receive"] == 238
    assert server.prices(excluded=["J"])["nic.receive"] == 210


def test_leaving_everything_out_is_an_error() -> None:
    with pytest.raises(LookupError, match="netns"):
        load_profile("server").prices(excluded=["netns"])


def test_a_slower_clock_makes_work_longer_and_nothing_else() -> None:
    fast = load_profile("server").prices()
    slow = fast.at_clock(1.5)
    assert slow["veth.packet"] == pytest.approx(2 * fast["veth.packet"])
    assert slow["socket.receive.byte"] == fast["socket.receive.byte"]
    assert slow["wakeup.latency"] == fast["wakeup.latency"]
    assert slow.at_clock(3.0)["veth.packet"] == pytest.approx(fast["veth.packet"])


def test_regimes_multiply_hot_loop_figures_only() -> None:
    server = load_profile("server")
    hot, real = server.prices(regime="hot_loop"), server.prices()
    assert real["veth.packet"] == pytest.approx(1.3 * hot["veth.packet"])
    assert real["nic.receive"] == hot["nic.receive"]
    assert real.in_loop["veth.packet"] == hot["veth.packet"]
    assert server.prices(regime="asleep")["veth.packet"] > real["veth.packet"]
    flood = server.prices(regime="flood")
    assert flood.in_loop["veth.packet"] == flood["veth.packet"] < hot["veth.packet"]


def test_profiles_extend_one_another() -> None:
    server, small = load_profile("server").prices(), load_profile("cloud-small").prices()
    assert small["veth.packet"] == pytest.approx(1.3 * server["veth.packet"])
    assert small["wakeup.latency"] == load_profile("vm-virtio").prices()["wakeup.latency"] > server["wakeup.latency"]


def test_overrides_are_drawn_or_calibrated_values() -> None:
    server = load_profile("server")
    assert server.prices(overrides={"veth.packet": 100.0}, regime="hot_loop")["veth.packet"] == 100
    assert server.prices(overrides={"machine.factor": 2.0}, regime="hot_loop")["veth.packet"] == 626
    with pytest.raises(InputError, match=r"veth\.paket"):
        server.prices(overrides={"veth.paket": 1.0})


def test_machine_factor_from_the_bare_round_trip() -> None:
    assert machine_factor(20.95e-6) == pytest.approx(1.0)
    assert machine_factor(32.6e-6) == pytest.approx(2.0)
    with pytest.raises(InputError, match="too short"):
        machine_factor(9e-6)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("name: x\ntitle: x\nfigures: [", "not valid YAML"),
        ("name: x\ntitle: x\nfigures: {a: {meaning: m, estimates: []}}", "figures.a.estimates"),
        ("name: x\ntitle: x\nfigures: {a: {meaning: m, estimates: [{source: s, value: 1, low: 0, high: 2}]}}", "'s'"),
        (
            "name: x\ntitle: x\nsources: {s: S}\n"
            "figures: {a: {meaning: m, estimates: [{source: s, value: 3, low: 0, high: 2}]}}",
            "low <= value <= high",
        ),
        ("name: x\ntitle: x\nextends: nothing-such", "nothing-such"),
        ("- 1", "not a mapping"),
    ],
)
def test_a_wrong_profile_is_one_message(tmp_path: Path, text: str, says: str) -> None:
    file = tmp_path / "costs.yaml"
    file.write_text(text)
    with pytest.raises(InputError, match=r".") as caught:
        load_profile(str(file))
    assert says in str(caught.value)


def test_own_profiles_extend_shipped_ones(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text(
        "name: mine\ntitle: mine\nextends: server\nsources: {me: measured here}\n"
        "figures: {veth.packet: {meaning: m, measured: hot_loop,"
        " estimates: [{source: me, value: 250, low: 240, high: 260}]}}"
    )
    assert load_profile(str(file)).prices(regime="hot_loop")["veth.packet"] == 250


def test_unknown_profile() -> None:
    with pytest.raises(InputError, match="server"):
        load_profile("no-such-costs")


def test_prices_are_plain_numbers() -> None:
    assert Prices({"a": 2.0}, factor=1.5)["a"] == 3.0
    assert isinstance(load_profile("server"), CostProfile)
