"""A calibration from beginning to end."""

from __future__ import annotations

from netsim.calibration.kernel.derive import Calibration, derive
from netsim.calibration.kernel.measure import Progress, measure
from netsim.calibration.kernel.namespaces import Sandbox
from netsim.calibration.kernel.plan import PLANS, Mode, calibration


def calibrate(mode: Mode = "quick", seed: int = 1, progress: Progress | None = None) -> Calibration:
    """Measure this machine's kernel and derive its prices.

    Parameters
    ----------
    mode: ``quick`` stays under two minutes, ``full`` takes about ten.
    seed: of the order in which topologies are visited.
    progress: told what is being done.

    Raises
    ------
    InputError
        Not root, not Linux, no namespaces, or no ``ip`` command.
    """
    plan = PLANS[mode]
    with Sandbox() as host:
        return derive(measure(host, calibration(plan), plan.effort, seed, progress))
