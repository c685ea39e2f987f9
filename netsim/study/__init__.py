"""Sweeps and replications: points, executors, result folders that can be resumed and re-run."""

from netsim.study.outcome import Failed, Impossible, Measured, PointRunner
from netsim.study.points import Point, expand
from netsim.study.result import StudyResult
from netsim.study.study import Progress, run_study

__all__ = ["Failed", "Impossible", "Measured", "Point", "PointRunner", "Progress", "StudyResult", "expand", "run_study"]
