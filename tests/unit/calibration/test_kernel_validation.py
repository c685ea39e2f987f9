"""The order of things in a kernel validation, with measuring replaced by arithmetic."""

import json
from contextlib import nullcontext

import pytest

from netsim.calibration.kernel import validate
from netsim.calibration.kernel.hops import counts
from netsim.calibration.kernel.measure import Measurement, Samples, Skipped
from netsim.calibration.kernel.plan import ANCHORS
from netsim.calibration.kernel.probes import PROBES
from netsim.calibration.kernel.timing import Slice
from netsim.calibration.kernel.validate import validate_kernel
from netsim.errors import InputError

PACKETS = {"udp_rr": (1, 1), "tcp_rr": (1, 1), "udp_one_way": (1, 0), "udp_new_flow": (1, 1), "tcp_crr": (6, 4)}
PER_COUNT_NS, BASE_NS, RULE_NS = 500.0, 5000.0, 4.0


class FakeSessions:
    """Measures by adding up, each session slower than the one before by ``drift``."""

    def __init__(self, drift=1.0, fails=()):
        self.events, self._drift, self._fails = [], drift, fails

    def __call__(self, host, topologies, effort, seed, progress):
        slower = self._drift if self.events else 1.0
        self.events.append("measured")
        result = Measurement([], [], dict(PACKETS), 8000.0, 1.0)
        for topology in topologies:
            if len(self.events) > 1 and topology not in ANCHORS and "everything" in self._fails:
                result.skipped.append(Skipped(str(topology), "ip: out of luck"))
                continue
            for probe in PROBES:
                ratio = slower * self._nanoseconds(topology, probe) / 8000.0
                result.samples.append(Samples(topology, probe, tuple(Slice((ratio,), ()) for _ in range(8))))
        return result

    @staticmethod
    def _nanoseconds(topology, probe):
        paid = counts(topology, probe, PACKETS[probe])
        price = {key: RULE_NS if key.startswith("rule.") else PER_COUNT_NS for key in paid} | {"base": BASE_NS}
        return sum(count.times(0.8) * price[key] for key, count in paid.items())


@pytest.fixture
def sessions(monkeypatch):
    def install(**options):
        fake = FakeSessions(**options)
        monkeypatch.setattr(validate, "Sandbox", nullcontext)
        monkeypatch.setattr(validate, "measure", fake)
        return fake

    return install


def test_predictions_are_told_before_composites_are_measured(sessions):
    fake = sessions()
    result = validate_kernel(4, 6, predicted=lambda rows: fake.events.append(f"{len(rows)} predicted"))
    assert fake.events == ["measured", "30 predicted", "measured"]
    assert len(result.rows) == 30
    assert result.mean < 0.01 and result.worst < 0.03 and result.passed


def test_a_slower_second_session_is_corrected_by_its_anchors(sessions):
    sessions(drift=1.2)
    result = validate_kernel(4, 6)
    assert all(slower == pytest.approx(1.2) for slower in result.drift.values())
    assert abs(result.bias) < 0.01


def test_the_document_has_rows_errors_and_targets(sessions):
    sessions()
    document = json.loads(json.dumps(validate_kernel(9, 3).to_dict()))
    assert document["points"] == len(document["rows"]) == 15
    assert document["targets"] == {"mean": 0.03, "worst": 0.10}
    row = document["rows"][0]
    assert row["error"] == pytest.approx(row["predicted_s"] / row["measured_s"] - 1)
    assert document["worst"] == max(abs(row["error"]) for row in document["rows"])


def test_paths_that_cannot_be_built_are_named_and_all_of_them_is_an_error(sessions):
    sessions(fails=("everything",))
    with pytest.raises(InputError, match="no composite path could be measured"):
        validate_kernel(4, 3)
