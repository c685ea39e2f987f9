"""The programs that time eBPF steps: refused by no verifier, and longer ones take longer."""

from __future__ import annotations

import importlib
import json
import os
import sys
from pathlib import Path

import pytest

from netsim.calibration.kernel.namespaces import CommandError
from netsim.datapath.costs import load_profile

sys.path.insert(0, str(Path(__file__).parents[2]))
steps = importlib.import_module("experiments.ebpf-steps.steps")


@pytest.fixture
def kernel() -> None:
    if os.geteuid() != 0:
        pytest.skip("loading programs takes root")
    try:
        os.close(steps.load(b""))
    except CommandError as error:
        pytest.skip(f"this kernel runs no programs for us: {error}")


@pytest.mark.usefixtures("kernel")
@pytest.mark.parametrize("name", ["hash look-up, one of 1,024", "LRU entry made and removed", "redirect to a device"])
def test_the_kernel_takes_and_times_a_step(name: str) -> None:
    step = next(one for one in steps.STEPS if one.name == name)
    with steps.opened(steps.load(b"")) as nothing:
        assert steps.measure(step, steps.timed(nothing)) > 1.0


def test_instructions_have_eight_bytes_and_a_map_takes_two() -> None:
    assert len(steps.call(steps.LOOKUP)) == 8
    assert len(steps.table(3)) == 16
    assert steps.op(0xBF, 6, 1) == bytes((0xBF, 0x16, 0, 0, 0, 0, 0, 0))


def test_the_record_is_of_the_figures_that_stand() -> None:
    record = Path(steps.__file__).parents[1] / "evidence" / "ebpf-steps.json"
    figures = load_profile("server").figures
    rows = {row["what"]: row for row in json.loads(record.read_text(encoding="utf-8"))["findings"]}
    for step in (one for one in steps.STEPS if one.figure):
        stated = figures[step.figure].chosen()
        assert rows[step.name]["holds"]
        assert rows[step.name]["expected"] == f"{step.figure} {stated.low:g} to {stated.high:g}"
