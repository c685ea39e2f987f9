"""Every experiment's verdict at its small budget."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))

from experiments import claims, verdicts  # noqa: E402 - the checkout's folder, not an installed package


@pytest.mark.slow
@pytest.mark.parametrize("name", verdicts.experiments())
def test_verdict_holds(name: str) -> None:
    result = verdicts.verdict(name)
    assert not [f"{says}: {found.text}" for says, found in result.found if not found.holds]


@pytest.mark.parametrize("name", verdicts.experiments())
def test_folder_says_question_answer_and_figure(name: str) -> None:
    folder = verdicts.HOME / name
    expected = claims.read(folder)
    text = " ".join((folder / "README.md").read_text(encoding="utf-8").split())
    assert " ".join(expected.answer.split()) in text
    assert "**Question.**" in text
    if expected.figure is not None:
        assert "figure.svg" in text


def test_names_of_figures_may_hold_dots() -> None:
    assert claims.named("latency.p99.9") == ("scenario", "", "latency", "p99.9")
    assert claims.named("hop.socket.send.hop_time.mean") == ("hop", "socket.send", "hop_time", "mean")
    assert claims.named("scenario.link.utilization.max") == ("scenario", "link", "utilization", "max")
    with pytest.raises(ValueError, match="not a figure"):
        claims.named("latency")
