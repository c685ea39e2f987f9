"""The fixture ``netsim_regression``: a test fails when a scenario's figures got worse than their baseline.

::

    def test_checkout_is_as_fast_as_reviewed(netsim_regression):
        netsim_regression("checkout.yaml")

Paths are relative to the test's file. The baseline is kept in ``baseline/`` beside it, named after the test, and
written by ``pytest --netsim-update``; commit it, so that a change of it is reviewed.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from netsim.analysis.compare import Comparison
    from netsim.scenario.spec import Scenario, ToleranceSpec
    from netsim.study import StudyResult


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add ``--netsim-update``."""
    group = parser.getgroup("netsim")
    group.addoption("--netsim-update", action="store_true", help="write the baselines of netsim_regression tests")


class Regression:
    """Checks figures against the baseline of one test.

    Parameters
    ----------
    directory: where relative paths start, and where ``baseline/`` is.
    name: name of the baseline, without suffix.
    update: write baselines instead of checking them.
    """

    def __init__(self, directory: Path, name: str, update: bool) -> None:
        self.directory, self.name, self.update = directory, name, update

    def __call__(
        self,
        scenario: str | Path | Scenario | StudyResult,
        *,
        name: str = "",
        tolerances: ToleranceSpec | None = None,
        exact: bool = False,
        workers: int = 1,
    ) -> Comparison | None:
        """Fail the test when a figure is worse than the baseline's or missing.

        Parameters
        ----------
        scenario: a scenario file, a loaded scenario, or the result of a study.
        name: baseline's name, needed when a test checks several scenarios.
        tolerances: relative changes that do not matter; default: the scenario's own.
        exact: any difference fails, to the last bit.
        """
        from netsim.analysis.baseline import read_baseline, write_baseline
        from netsim.analysis.compare import compare
        from netsim.analysis.side import from_study
        from netsim.analysis.states import tolerances_for
        from netsim.report.comparison import to_text

        result = self._result(scenario, workers)
        candidate = from_study(result)
        path = self.directory / "baseline" / f"{name or self.name}.json"
        if self.update:
            source = Path(result.scenario.file) if result.scenario.file else None
            write_baseline(candidate, path, source=source)
            return None
        if not path.exists():
            pytest.fail(f"no baseline {path}; write it with pytest --netsim-update and commit it", pytrace=False)
        baseline = read_baseline(path)
        allowed = tolerances or tolerances_for(baseline, candidate, directory=self.directory)
        comparison = compare(baseline, candidate, allowed, exact=exact)
        if not comparison.ok:
            pytest.fail(to_text(comparison), pytrace=False)
        return comparison

    def _result(self, scenario: str | Path | Scenario | StudyResult, workers: int) -> StudyResult:
        from netsim.scenario.loading import load
        from netsim.study import StudyResult, run_study

        if isinstance(scenario, StudyResult):
            return scenario
        if isinstance(scenario, str | Path):
            scenario = load(self.directory / scenario)
        return run_study(scenario, workers=workers)


@pytest.fixture
def netsim_regression(request: pytest.FixtureRequest) -> Regression:
    """Return the checker of this test's figures."""
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", request.node.name).strip("-")
    return Regression(request.path.parent, name, bool(request.config.getoption("--netsim-update")))
