"""Derived costs follow from the arithmetic stated beside them, and a profile says where it has its numbers from."""

from __future__ import annotations

import json
from collections import Counter

import pytest
from pydantic import ValidationError
from typer.testing import CliRunner

from netsim import inspect
from netsim.cli.app import app
from netsim.datapath.arithmetic import check, evaluate
from netsim.datapath.costs import Estimate, load_profile, profile_names
from netsim.errors import InputError


@pytest.mark.parametrize(
    ("text", "value"), [("30.5 * 3.6 / 3.0", 36.6), ("(301 - 175) * 1.2", 151.2), ("1 + 2 * 3", 7), ("8 / 4 / 2", 1)]
)
def test_arithmetic(text: str, value: float) -> None:
    assert evaluate(text) == pytest.approx(value)


@pytest.mark.parametrize("text", ["", "1 +", "1 / 0", "2 ** 3", "-1", "x", "int('1')", "1; 2", "True"])
def test_only_arithmetic_is_read(text: str) -> None:
    with pytest.raises(ValueError, match="arithmetic"):
        evaluate(text)


def test_a_value_that_does_not_follow_is_refused() -> None:
    check("30.5 * 1.2", 37)
    with pytest.raises(ValidationError, match=r"is 36\.6, not 40"):
        Estimate(source="K", value=40, low=30, high=50, arithmetic="30.5 * 3.6 / 3.0")


@pytest.mark.parametrize("name", profile_names())
def test_shipped_arithmetic_gives_the_values(name: str) -> None:
    derived = [e for figure in load_profile(name).figures.values() for e in figure.estimates if e.arithmetic]
    assert len(derived) > 25
    for estimate in derived:
        assert evaluate(estimate.arithmetic) == pytest.approx(estimate.value, rel=0.025), estimate


@pytest.mark.parametrize("name", profile_names())
def test_every_figure_has_a_cited_source(name: str) -> None:
    profile = load_profile(name)
    assert profile.valid_for
    for key, figure in profile.figures.items():
        for estimate in figure.estimates:
            assert len(profile.sources[estimate.source]) > 20, key
    for key, figure in profile.figures.items():
        reasoned = [estimate for estimate in figure.estimates if estimate.source == "estimate"]
        if len(reasoned) == len(figure.estimates):
            assert all(estimate.note for estimate in reasoned), f"{key} is an estimate without a reason"


def test_report_leaves_sources_out() -> None:
    with_all = {line.figure: line.used.source for line in inspect.costs().lines}
    without = {line.figure: line.used.source for line in inspect.costs(without=["D"]).lines}
    assert "D" in with_all.values()
    assert "D" not in without.values()
    assert [line.figure for line in inspect.costs(figure="udp").lines] == [
        "socket.open.udp", "socket.receive.udp", "socket.send.udp", "stack.receive.udp"
    ]  # fmt: skip


@pytest.mark.parametrize("wrong", [{"without": ["nobody"]}, {"figure": "nothing.like.it"}, {"profile": "nowhere"}])
def test_wrong_questions(wrong: dict[str, object]) -> None:
    with pytest.raises(InputError):
        inspect.costs(**wrong)  # type: ignore[arg-type]


def test_command() -> None:
    done = CliRunner().invoke(app, ["inspect", "costs", "vm-virtio", "--figure", "nic.", "--format", "json"])
    assert done.exit_code == 0
    document = json.loads(done.stdout)
    assert document["profile"] == "vm-virtio"
    sent = next(line for line in document["figures"] if line["figure"] == "nic.transmit")
    assert (sent["source"], sent["arithmetic"], sent["value"]) == ("vhost", "614 + 1500 / 2", 1364)
    assert set(document["sources"]) == {line["source"] for line in document["figures"]}
    text = CliRunner().invoke(app, ["inspect", "costs", "--figure", "veth"]).stdout
    assert Counter(text.split())["veth.packet"] == 1
    assert "valid for" in text
