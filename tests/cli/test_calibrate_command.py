"""The calibrate command: refusals, what it prints, what it writes."""

import json

import pytest
import typer
from typer.testing import CliRunner

from netsim.calibration.kernel import session, syncs
from netsim.calibration.kernel.derive import Calibration, Price, ProbePrices
from netsim.calibration.kernel.measure import Measurement, Skipped
from netsim.cli import calibrate
from netsim.datapath.costs import load_profile
from netsim.errors import InputError

runner = CliRunner()


@pytest.fixture
def app():
    made = typer.Typer(pretty_exceptions_enable=False)
    made.command(name="calibrate")(calibrate.command)
    made.command(name="other")(lambda: None)
    return made


@pytest.fixture
def measured(monkeypatch):
    """A calibration that took no time: one price a figure, two of them missing."""
    prices = {"route.packet": Price(800.0, 700.0, 900.0), "veth.packet": Price(350.0, 300.0, 400.0)}
    skipped = [Skipped("pod - router = router - pod", "ip: Unknown device type")]
    measurement = Measurement([], skipped, {"udp_rr": (1, 1)}, 7000.0, 65.0)
    by_probe = {
        probe: ProbePrices({**prices, "base": Price(base, base, base)}, 1.0, 0.8)
        for probe, base in (("udp_rr", 7000.0), ("tcp_rr", 9100.0), ("udp_one_way", 2700.0))
    }
    made = Calibration(prices, by_probe, 0.8, measurement)
    monkeypatch.setattr(session, "calibrate", lambda mode, seed, progress: made)
    return made


def test_without_root_there_is_one_message_and_no_file(app, monkeypatch, tmp_path):
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    result = runner.invoke(app, ["calibrate", "-o", str(tmp_path / "costs.yaml")])
    assert isinstance(result.exception, InputError)
    assert "needs root" in str(result.exception)
    assert not list(tmp_path.iterdir())


def test_the_program_ends_with_2_and_one_line(monkeypatch, tmp_path, capsys):
    from netsim.cli import main

    monkeypatch.setattr("os.geteuid", lambda: 1000)
    monkeypatch.setattr("sys.argv", ["netsim", "calibrate", "-o", str(tmp_path / "costs.yaml")])
    with pytest.raises(SystemExit) as stopped:
        main()
    assert stopped.value.code == 2
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err.splitlines()[-1].startswith("netsim: measuring the kernel needs root")


def test_a_missing_folder_is_told_before_anything_is_measured(app, measured, tmp_path):
    result = runner.invoke(app, ["calibrate", "-o", str(tmp_path / "nowhere" / "costs.yaml")])
    assert isinstance(result.exception, InputError)
    assert "no such folder" in str(result.exception)


def test_the_profile_is_written_and_what_was_skipped_is_named(app, measured, tmp_path):
    out = tmp_path / "costs.yaml"
    result = runner.invoke(app, ["calibrate", "-o", str(out)])
    assert result.exit_code == 0, result.output
    assert "route.packet" in result.output and "700.00 to 900.00" in result.output
    assert "skipped, ip: Unknown device type: pod - router = router - pod" in result.output
    assert load_profile(str(out)).figures["veth.packet"].chosen().value == 350.0


def test_json_is_one_document(app, measured, tmp_path):
    result = runner.invoke(app, ["calibrate", "-o", str(tmp_path / "costs.yaml"), "--format", "json"])
    document = json.loads(result.stdout)
    assert document["prices"]["route.packet"] == pytest.approx({"cost_s": 8e-07, "low_s": 7e-07, "high_s": 9e-07})
    assert document["repeat"] == 0.8
    assert document["skipped"][0]["reason"] == "ip: Unknown device type"


def test_stopping_leaves_nothing_and_says_so(app, monkeypatch, tmp_path):
    def stopped(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(session, "calibrate", stopped)
    result = runner.invoke(app, ["calibrate", "-o", str(tmp_path / "costs.yaml")])
    assert result.exit_code == 130
    assert "nothing was written" in result.output
    assert not list(tmp_path.iterdir())


def test_a_full_calibration_adds_the_tools_of_proxies(app, measured, monkeypatch, tmp_path):
    found = {"tool.nft_line": Price(30000.0, 25000.0, 40000.0)}
    monkeypatch.setattr(syncs, "measure_syncs", lambda progress: (found, ("ipset is not installed",)))
    out = tmp_path / "costs.yaml"
    result = runner.invoke(app, ["calibrate", "--full", "-o", str(out)])
    assert result.exit_code == 0, result.output
    assert "skipped: ipset is not installed" in result.output
    profile = load_profile(str(out))
    assert profile.figures["tool.nft_line"].chosen().high == 40000.0
    assert profile.prices()["tool.nft_line"] == 30000.0  # the tool's own time, no regime of packets on it
