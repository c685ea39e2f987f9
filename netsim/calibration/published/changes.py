"""Questions about what something changes: a rate or a time with it over the same without, less one."""

from __future__ import annotations

from dataclasses import dataclass

from netsim.calibration.published.bench import Bench
from netsim.calibration.published.quantities import Dimension
from netsim.calibration.published.question import Answer, Question, Untimed
from netsim.calibration.published.setting import Setting
from netsim.errors import InputError, Place

CAUSES = ("policy", "policies", "policy_rules", "filter", "rules", "ruleset")
"""Keys that a row without what it is about has not."""
FLAT = 0.005
"""Less is no change: what the published figure then shows is the noise of two measurements."""


@dataclass(frozen=True, slots=True)
class Change(Untimed):
    """Relative change of what another question answers, by the policies or rules a row states."""

    of: Question
    measured: Dimension
    kind: str = "change"
    calibrates: int = 0

    def answer(self, bench: Bench, setting: Setting, seconds: float, dimension: Dimension) -> Answer:
        """Return the change. Raises `InputError` where the row does not say what of."""
        if not any(key in setting for key in CAUSES):
            raise InputError("the configuration does not say what changes", place=Place(field="configuration"),
                             allowed=", ".join(CAUSES))  # fmt: skip
        before = bench.expect(self.of, setting.without(*CAUSES), self.measured).value
        change = bench.expect(self.of, setting, self.measured).value / before - 1
        flat = abs(change) < FLAT
        return Answer(change, flat, "flat" if flat else "")
