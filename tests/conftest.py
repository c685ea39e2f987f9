"""What every kind of test uses: the command line in this process, and the shared facts where they are present."""

from __future__ import annotations

import contextlib
import io
import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

from netsim.cli import main

# the same examples in every run: a red CI is the change's fault, never the draw's
settings.register_profile("netsim", derandomize=True, database=None, deadline=None)
settings.load_profile("netsim")

SHARED = Path(__file__).parents[1].parent / "shared"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--update-golden", action="store_true", help="write tests/golden anew instead of comparing")


@dataclass(frozen=True)
class Outcome:
    """What a command did."""

    code: int
    out: str
    err: str

    @property
    def document(self) -> Any:
        return json.loads(self.out)


def _run(*arguments: object) -> Outcome:
    out, err, before, code = io.StringIO(), io.StringIO(), sys.argv, 0
    sys.argv = ["netsim", *(str(argument) for argument in arguments)]
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            main()
    except SystemExit as stop:
        code = 0 if stop.code is None else int(stop.code)
    finally:
        sys.argv = before
    return Outcome(code, out.getvalue(), err.getvalue())


@pytest.fixture(scope="session")
def netsim_command() -> Callable[..., Outcome]:
    """Run the command line in this process; an exception that it lets through fails the test."""
    return _run


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of facts beside the checkout; the test is skipped where it is absent."""
    if not SHARED.is_dir():
        pytest.skip("the folder of shared facts is not beside this checkout")
    return SHARED
