"""Prices recovered from synthetic measurements, predictions, random composites and the profile written from them."""

import random
from pathlib import Path

import pytest

from netsim.calibration.kernel.composites import draw
from netsim.calibration.kernel.derive import Observation, derive, published, solve
from netsim.calibration.kernel.hops import BASE, counts
from netsim.calibration.kernel.measure import Measurement, Samples, Skipped, by_reason
from netsim.calibration.kernel.plan import PLANS, calibration
from netsim.calibration.kernel.probes import PROBES
from netsim.calibration.kernel.profile import machine_factor, measured_figures, write_profile
from netsim.calibration.kernel.timing import Slice
from netsim.calibration.kernel.topologies import ROUTER, Topology
from netsim.datapath.costs import load_profile

PACKETS = {"udp_rr": (1, 1), "tcp_rr": (1, 1), "udp_one_way": (1, 0), "udp_new_flow": (1, 1), "tcp_crr": (6, 4)}
BASES = {"udp_rr": 7000.0, "tcp_rr": 9200.0, "udp_one_way": 2700.0, "udp_new_flow": 14000.0, "tcp_crr": 48000.0}
FACTORS = {"udp_rr": 1.0, "tcp_rr": 1.08, "udp_one_way": 0.95, "udp_new_flow": 1.12, "tcp_crr": 1.1}
REPEAT, REFERENCE_NS, SLOWER = 0.8, 7600.0, 1.3
TOPOLOGIES = calibration(PLANS["quick"])


def true_prices():
    """Prices 1.3 times the shipped ones, with back-ends apart as they are in reality."""
    server = load_profile("server").prices(regime="hot_loop")
    keys = {key for path in TOPOLOGIES for probe in PROBES for key in counts(path, probe, PACKETS[probe])} - {BASE}
    prices = {key: SLOWER * server[published(key)] for key in sorted(keys)}
    for key in prices:
        if key.startswith("rule.service.iptables-nft"):
            prices[key] = 14.0
        if key.startswith("nat.none"):
            prices[key] = 600.0
    return prices


def exchange(topology, probe, prices):
    paid = counts(topology, probe, PACKETS[probe])
    hops = sum(count.times(REPEAT) * prices[key] for key, count in paid.items() if key != BASE)
    return BASES[probe] + FACTORS[probe] * hops


def synthetic(noise, seed=7, topologies=TOPOLOGIES):
    numbers, prices = random.Random(seed), true_prices()
    samples = []
    for topology in topologies:
        for probe in PROBES:
            ratio = exchange(topology, probe, prices) / REFERENCE_NS
            visits = tuple(Slice((ratio * numbers.gauss(1, noise),), ()) for _ in range(7))
            samples.append(Samples(topology, probe, visits))
    return Measurement(samples, [], dict(PACKETS), REFERENCE_NS, 60.0)


@pytest.fixture(scope="module")
def learnt():
    return derive(synthetic(noise=0.01))


def test_known_prices_are_recovered(learnt):
    prices = true_prices()
    for key in ("route.packet", "tunnel.packet", "conntrack.packet", "bridge.packet", "nat.packet"):
        assert learnt.prices[key].value == pytest.approx(prices[key], rel=0.10), key
    for key in ("rule.service.iptables-nft.UDP", "rule.policy.iptables-legacy", "ipset.lookup.iptables-nft"):
        assert learnt.prices[key].value == pytest.approx(prices[key], rel=0.05), key


def test_intervals_cover_the_known_prices(learnt):
    prices = true_prices()
    covered = [price.low <= prices[key] <= price.high for key, price in learnt.prices.items()]
    assert sum(covered) >= 0.85 * len(covered)


def test_the_cost_of_repetition_and_the_probes_factors_are_recovered(learnt):
    assert learnt.repeat == pytest.approx(REPEAT, abs=0.051)
    for probe, factor in FACTORS.items():
        assert learnt.by_probe[probe].factor == pytest.approx(factor, abs=0.06), probe


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_composites_never_measured_are_predicted(learnt, seed):
    prices = true_prices()
    paths = draw(seed, 15, learnt.knows, TOPOLOGIES)
    errors = [
        abs(learnt.predict(path, probe) / exchange(path, probe, prices) - 1) for path in paths for probe in PROBES
    ]
    assert sum(errors) / len(errors) < 0.02
    assert max(errors) < 0.06


def test_noise_widens_the_intervals(learnt):
    noisy = derive(synthetic(noise=0.06))
    for key in ("nat.new.iptables-legacy", "conntrack.new", "bpf.redirect"):
        assert noisy.prices[key].high - noisy.prices[key].low > learnt.prices[key].high - learnt.prices[key].low, key


def test_solving_takes_the_prior_where_the_data_say_nothing_and_the_data_where_they_do():
    rows = [Observation({"a": 1.0, "b": 1.0}, 300.0, 0.1), Observation({"a": 2.0, "b": 2.0}, 600.0, 0.1)]
    prices, left = solve(rows, {"a": 100.0, "b": 100.0}, 1.0)
    assert prices["a"].value == pytest.approx(150.0, rel=1e-3)
    assert prices["a"].value + prices["b"].value == pytest.approx(300.0, rel=1e-4)
    assert prices["a"].high - prices["a"].low > 100.0
    assert left > 0.0


def test_a_free_price_has_no_prior():
    prices, _ = solve([Observation({"base": 1.0}, 5000.0, 10.0)], {}, 1.0)
    assert prices["base"].value == pytest.approx(5000.0)


def test_composites_are_the_same_for_a_seed_and_new_for_the_calibration():
    def buildable(_):
        return True

    paths = draw(11, 30, buildable, TOPOLOGIES)
    assert paths == draw(11, 30, buildable, TOPOLOGIES)
    assert paths != draw(12, 30, buildable, TOPOLOGIES)
    assert len(set(paths)) == 30
    assert not set(paths) & set(TOPOLOGIES)
    assert any(path.tunnels for path in paths)


def test_composites_keep_to_what_the_machine_knows():
    paths = draw(3, 10, lambda path: not path.tunnels, TOPOLOGIES)
    assert len(paths) == 10
    assert not any(path.tunnels for path in paths)


def test_a_machine_without_a_tool_knows_no_path_that_needs_it():
    without = derive(synthetic(0.01, topologies=[path for path in TOPOLOGIES if not path.tunnels]))
    assert not any(without.knows(path) for path in TOPOLOGIES if path.tunnels)
    with pytest.raises(LookupError):
        without.predict(next(path for path in TOPOLOGIES if path.tunnels), "udp_rr")


def test_the_profile_carries_measured_figures_and_scales_the_others(learnt, tmp_path: Path):
    learnt.measurement.skipped.append(Skipped("pod - bridge[bridge-nf] - pod", "no such setting"))
    path = tmp_path / "mine.yaml"
    profile = write_profile(learnt, path)
    learnt.measurement.skipped.clear()
    assert "no such setting" in path.read_text(encoding="utf-8")
    server = load_profile("server")
    assert set(profile.figures) == set(server.figures)
    for key, figure in profile.figures.items():
        chosen = figure.chosen()
        assert chosen.low <= chosen.value <= chosen.high, key
    route = profile.figures["route.packet"].chosen()
    assert route.source == "kernel"
    assert route.value == pytest.approx(learnt.prices["route.packet"].value, rel=1e-3)
    factor = machine_factor(measured_figures(learnt))
    assert factor == pytest.approx(SLOWER, rel=0.08)
    scaled, shipped = profile.figures["nic.transmit"].chosen(), server.figures["nic.transmit"].chosen()
    assert scaled.value == pytest.approx(shipped.value * factor, rel=1e-3)
    assert profile.figures["socket.send.byte"].chosen() == server.figures["socket.send.byte"].chosen()


def test_reasons_are_told_once():
    skipped = [Skipped("a", "no ipset"), Skipped("b", "no ipset"), Skipped("c", "no vxlan")]
    assert by_reason(skipped) == {"no ipset": "a and 1 more", "no vxlan": "c"}


def test_quiet_chunks_are_trusted_and_disturbed_ones_left_out():
    visits = (Slice((1.0, 1.02, 1.01), (1.6,)), Slice((0.99, 1.0), ()), Slice((), (1.5, 1.4)))
    samples = Samples(Topology(), "udp_rr", visits)
    assert samples.ratio == 1.0
    assert 0.0 < samples.error < 0.02


def test_without_quiet_chunks_the_disturbed_ones_must_do():
    samples = Samples(Topology(), "udp_rr", (Slice((), (1.5, 1.4)), Slice((1.0,), (1.6,))))
    assert samples.ratio == 1.4
    assert samples.error > 0.05


def test_one_outlying_measurement_does_not_move_the_prices(learnt):
    measurement = synthetic(noise=0.01)
    for index, one in enumerate(measurement.samples):
        if one.topology == Topology((ROUTER, ROUTER)) and one.probe == "udp_rr":
            visits = tuple(Slice(tuple(1.4 * ratio for ratio in visit.quiet), ()) for visit in one.visits)
            measurement.samples[index] = Samples(one.topology, one.probe, visits)
    disturbed = derive(measurement)
    assert disturbed.prices["route.packet"].value == pytest.approx(learnt.prices["route.packet"].value, rel=0.05)
