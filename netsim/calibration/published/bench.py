"""The calibrated testbed: prices of a draw, the machine factor from baseline rows, and what rows are compared with.

Every prediction has one form. A question gives the model's *cost* of one unit of what is measured (a round trip, a
connection, a burst, a packet): work, which scales with the machine factor k and with contention c, and waiting, which
does not. Where a baseline row was measured in the same way,

    time = measured baseline + k c (work - work of the baseline) + (waiting - waiting of the baseline)

and where none was, ``waiting + k c work``. (Bulk between bare hosts with other offloads scales the baseline instead.)
Each baseline row thus gives one parameter: k, or the rest of its own time that the model does not explain. There are
never more parameters than baseline rows.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property

from netsim.calibration.published.case import Case, Row
from netsim.calibration.published.chains import with_chains_of
from netsim.calibration.published.hardware import Hardware, Tunnels
from netsim.calibration.published.machine_factor import busy_factor, coldness, fitted_factor, sleep_unstated, sleeps
from netsim.calibration.published.quantities import Dimension
from netsim.calibration.published.question import Anchor, Answer, Cost, Parameter, Question, Staged, Woken
from netsim.calibration.published.setting import Setting, alone
from netsim.calibration.published.subject import Subject
from netsim.calibration.published.testbed import Testbed, Ways
from netsim.calibration.published.unstated import beside_hosts, tunnels, without_credits
from netsim.datapath.costs import CostProfile, Prices, Regime

LINE_RATE = "line rate"
"""The note of answers that the line decides."""
FILLED = 0.8
"""Of what the model says fits on the line; less was published, then something else than the line decided."""
NEARER = 100
"""More than all keys: a row with the same distance between its ends fits better, whatever else differs."""
BULK = ("bulk", "cpu-bulk", "per-core")
"""Kinds of questions about long flows."""
BUSY = (*BULK, "datagrams", "requests-kept", "requests-new")
"""Kinds of questions whose cores never rest."""
TRAFFIC = (*BULK, "datagrams", "round-trip", "connect", "requests", "http", "cpu-round-trip", "cpu-connection")
"""How kinds of questions begin that are about traffic between two programs."""


@dataclass
class Bench:
    """One machine of a case under one draw of the costs.

    Parameters
    ----------
    case, hardware: what was measured, and where.
    testbed: shared by all draws.
    profile: costs; figures of the case's own sources are left out.
    drawn: values of a draw by figure, empty for the most trusted ones.
    rows: the case's rows on this machine with their questions.
    """

    case: Case
    hardware: Hardware
    testbed: Testbed
    profile: CostProfile
    rows: tuple[tuple[Row, Question], ...]
    drawn: Mapping[str, float] = field(default_factory=dict)
    parameters: dict[str, Parameter] = field(default_factory=dict)
    _prices: dict[str, Prices] = field(default_factory=dict)
    _ways: dict[tuple[object, ...], Ways] = field(default_factory=dict)
    _factor: float | None = None
    _busy_factor: float | None = None

    # ---------------------------------------------------------------- prices

    def prices(self, regime: Regime = "closed_loop") -> Prices:
        """Return the prices at k = 1: the profile's, at the machine's clock until baseline rows say better."""
        known = self._prices.get(regime)
        if known is None:
            known = self.profile.prices(excluded=self.case.sources, overrides=self.drawn, regime=regime)
            if sleep_unstated(self):
                slept = known.values["idle.unstated"]
                deeper = {key: known.values[key] + slept for key in ("interrupt.latency", "wakeup.latency")}
                known = replace(known, values={**known.values, **deeper})
            known = with_chains_of(self.hardware, known)
            self._prices[regime] = known
        return known

    @property
    def busy(self) -> dict[str, Prices]:
        """Prices where new connections walk the rules all the time, so that tables stay in the last-level cache."""
        prices = self.prices()
        values = {**prices.values, "rule.first": prices.values["rule.busy"]}
        return {"closed_loop": replace(prices, values=values)}

    def figure(self, key: str) -> float:
        """Return a figure as drawn, before any factor of a machine; seconds for nanoseconds."""
        value = self.prices().values[key]
        return value * 1e-9 if self.profile.figures[key].unit == "ns" else value

    def ways(self, setting: Setting, regime: Regime = "closed_loop", protocol: str = "TCP") -> Ways:
        """Return the ways of a row's packets at k = 1."""
        subject = self.subject(setting)
        mtu, mss = setting.count("mtu", 0), setting.count("mss", 0)
        key = (*subject.key, regime, protocol, mtu, mss)
        known = self._ways.get(key)
        if known is None:
            known = self.testbed.ways(subject, self.prices(regime), mtu=mtu, mss=mss, protocol=protocol)
            self._ways[key] = known
        return known

    def subject(self, setting: Setting) -> Subject:
        """Return what a setting measures, with what this draw has cards do for its tunnel."""
        subject = self.testbed.subject(setting, self.case.names)
        if self._tunnels is None or subject.plugin.encapsulation is None:
            return subject
        return replace(subject, tunnels=self._tunnels)

    @cached_property
    def _tunnels(self) -> Tunnels | None:
        """What cards of which nothing is said do for tunnels in this draw; `None` where it is the usual thing."""
        return tunnels(self.hardware, self.drawn)

    # ---------------------------------------------------------------- machine factor

    @property
    def factor(self) -> float:
        """The machine factor k: from the best baseline row, else from the clock."""
        if self._factor is None:
            stated = self.hardware.clock_ghz
            self._factor = self.profile.clock_ghz / stated if stated else self.figure("machine.unstated")
            found = fitted_factor(self, self._factor)
            if found is not None:
                self._factor = found.value
                self.parameters["k"] = found
        return self._factor

    @cached_property
    def asleep(self) -> bool:
        """Whether the hosts' cores sleep deeply between packets."""
        return sleeps(self)

    @property
    def busy_factor(self) -> float:
        """The machine factor of cores that never rest."""
        if self._busy_factor is None:
            spent = self.figure("credits.spent") if self.hardware.credits < 1 else 0.0
            self._busy_factor = busy_factor(self, self.factor) * without_credits(self.hardware, spent)
        return self._busy_factor

    @property
    def fitted(self) -> tuple[str, ...]:
        """The rows that the machine factor comes from, none where the clock gave it."""
        used = self.parameters.get("k") if self.factor else None
        return tuple(used.row.split("+")) if used is not None else ()

    def baselines(self, kind: str = "") -> Iterable[tuple[Row, Question]]:
        """Yield baseline rows of this machine, of one kind or all."""
        return ((row, q) for row, q in self.rows if row.role == "baseline" and (not kind or q.kind == kind))

    # ---------------------------------------------------------------- anchors and contention

    def anchor(self, question: Question, setting: Setting) -> Anchor | None:
        """Return the baseline row measured most like ``setting``, ``None`` where there is none.

        Where none has as many flows at once, one of a single flow stands in.
        """
        other = getattr(question, "stands_in", question.kind)
        found = self._likest(question.kind, setting) or self._likest(other, setting, whatever="keepalive")
        return found or (self.anchor(question, alone(setting)) if setting.streams > 1 else None)

    def _likest(self, kind: str, setting: Setting, whatever: str = "") -> Anchor | None:
        best: tuple[int, Row, Question] | None = None
        for row, other in self.baselines(kind):
            likeness = setting.likeness(row.setting, whatever)
            if likeness >= 0 and self._as_far_apart(setting, row.setting):
                likeness += NEARER
            if likeness >= 0 and (best is None or likeness > best[0]) and other.informs(self, row):
                best = (likeness, row, other)
        if best is None:
            return None
        _, row, other = best
        return Anchor(row, other.seconds(self, row), other.cost(self, row.setting))

    def contention(self, question: Question, setting: Setting) -> float:
        """Return c: how much dearer work is with all flows at once than with one.

        From the baseline rows of the same kind, else those of round trips; without either from hyperthreading, once
        flows outnumber half of the logical CPUs.
        """
        flows = setting.streams
        if flows <= 1:
            return 1.0
        shared = ("bulk", "cpu-bulk", "cpu-round-trip", "cpu-connection")
        for kind in () if question.kind in shared else (question.kind, "round-trip"):
            measured = self._contention(kind, setting, flows)
            if measured is not None:
                return measured
        return self.figure("contention.all_cores") if flows > self.hardware.cores // 2 else 1.0

    def _contention(self, kind: str, setting: Setting, flows: int) -> float | None:
        many = one = None
        for row, question in self.baselines(kind):
            same_side = row.setting.values.get("side") == setting.values.get("side") or kind == "round-trip"
            if not same_side:
                continue
            waiting = question.cost(self, row.setting).waiting
            if row.setting.streams == flows:
                many = question.seconds(self, row) - waiting
            elif row.setting.streams == 1:
                one = question.seconds(self, row) - waiting
        return max(1.0, many / one) if many and one and many > 0 and one > 0 else None

    # ---------------------------------------------------------------- prediction

    def predict(self, question: Question, row: Row) -> Answer:
        """Return the predicted value of a row, in SI units.

        A line decides a row that filled it; one that did not, where the model says so, is a miss like others.
        """
        answer = self.expect(question, row.setting, row.quantity.dimension)
        answer = answer._replace(measured=self._measured(question, row.setting))
        if answer.note == LINE_RATE and row.quantity.si < FILLED * answer.value:
            return answer._replace(trivial=False)
        return answer

    def _measured(self, question: Question, setting: Setting) -> bool:
        """Tell whether a baseline row holds the model to these hosts; steps of one core and counts need none."""
        return not question.kind.startswith(TRAFFIC) or self.anchor(question, setting) is not None

    def expect(self, question: Question, setting: Setting, dimension: Dimension) -> Answer:
        """Return the predicted answer to a question in some setting."""
        cost = question.cost(self, setting)
        anchor = self.anchor(question, setting)
        scale = self._scale(question, setting)
        if anchor is None:
            seconds = cost.waiting + scale * cost.work
        elif self._same_hops(question, setting, anchor.row.setting):
            seconds = cost.waiting + scale * cost.work
            if "k" not in self.parameters:
                of_anchor = anchor.cost.waiting + self._scale(question, anchor.row.setting) * anchor.cost.work
                seconds *= anchor.seconds / of_anchor
                self._fit(anchor.row, "measured over modelled", anchor.seconds / of_anchor)
        elif beside_hosts(self, question, setting, anchor):
            seconds = max(anchor.seconds, cost.waiting + scale * cost.work)
            self._fit(anchor.row, "held beside the hosts, s", anchor.seconds)
        elif isinstance(question, Staged):
            seconds = self._slowest(question, setting, anchor)
        elif isinstance(question, Woken) and self._one_within_a_host(setting, anchor.row.setting):
            seconds = self._woken(question, setting, anchor, cost)
        else:
            own = self._scale(question, anchor.row.setting)
            added = scale * (cost.work - anchor.cost.work)
            # hops that a plugin spares are the machine's own, those it adds were measured on another
            added *= self.figure("transfer.added_work") if added > 0 else 1.0
            rest = anchor.seconds - anchor.cost.waiting - own * anchor.cost.work
            apart = getattr(question, "rest_is_apart", False)
            added *= self._slower(rest, own * anchor.cost.work) if added > 0 and not apart else 1.0
            added *= self._cheaper(question, anchor, rest) if added > 0 else 1.0
            added += (scale - own) * anchor.cost.work
            seconds = anchor.seconds + added + cost.waiting - anchor.cost.waiting
            seconds += max(0.0, rest) * (self._with_calls(question, setting, anchor.row.setting) - 1)
            self._fit(anchor.row, "rest, s", rest)
        return question.answer(self, setting, max(seconds, 1e-12), dimension)

    def _calls(self, question: Question, setting: Setting) -> int:
        """Return a program's calls for a burst of a stream."""
        size = self.ways(setting).burst_bytes if question.kind == BULK[0] else 1
        return math.ceil(size / (setting.count("msg_bytes", 0) or size)) if size > 1 else 1

    def _with_calls(self, question: Question, setting: Setting, anchor: Setting) -> float:
        """Return how what a baseline has beyond the model grows with the program's calls.

        A baseline whose messages fill bursts has no calls to speak of: its rest is that of the
        bytes, whatever the messages.
        """
        of_anchor = self._calls(question, anchor)
        return self._calls(question, setting) / of_anchor if of_anchor > 1 else 1.0

    def _scale(self, question: Question, setting: Setting) -> float:
        """Return k c, with what empty caches add."""
        factor = self.busy_factor if question.kind in BUSY else self.factor
        return factor * self.contention(question, setting) * coldness(self, question)

    def _slowest(self, question: Staged, setting: Setting, anchor: Anchor) -> float:
        """Return the time of the slowest core, where each has its own work.

        What the model does not explain of the baseline is its slowest core's; the others have time left, so work that
        a configuration adds to them costs nothing until they are the slowest. Where the model is dearer than the
        baseline, all its cores are, by the same factor.
        """
        before, after = question.stages(self, anchor.row.setting), question.stages(self, setting)
        busiest = max(before, key=lambda core: before[core])
        own = self._scale(question, anchor.row.setting) * before[busiest]
        rest = anchor.seconds - own
        self._fit(anchor.row, "rest, s", rest)
        slower = self._slower(rest, own)
        scale = self._scale(question, setting) * min(1.0, anchor.seconds / own) * slower
        left = max(0.0, rest) - (slower - 1.0) * own
        transfer = self.figure("transfer.added_work")

        def time(core: str) -> float:
            work = before[core] + transfer * (after[core] - before[core])
            return scale * work + (left if core == busiest else 0.0)

        return max(map(time, before))

    def _slower(self, rest: float, own: float) -> float:
        """Return the factor on other work if some of what a bare host takes beyond the model is the whole host's.

        The baseline row cannot tell whether its rest is one program's or one wait's, or shared by all the host does
        (a clock, cold caches, memory far away); so the share is drawn.
        """
        return 1.0 + self.figure("transfer.rest") * max(0.0, rest) / own if own > 0 else 1.0

    @staticmethod
    def _cheaper(question: Question, anchor: Anchor, rest: float) -> float:
        """Return the factor on other work where the model is dearer than a bare host: all of it is, as in `_slowest`.

        So it is of programs on whole hosts. Prices of single packets' functions are measured one by one.
        """
        of_hosts = isinstance(question, Woken) or question.kind.startswith("cpu-")
        return min(1.0, anchor.seconds / (anchor.seconds - rest)) if of_hosts else 1.0

    def _as_far_apart(self, setting: Setting, other: Setting) -> bool:
        """Tell whether both rows stay within one host, or both do not; ways of single packets have no ends."""
        if setting.text("path").startswith("nic"):
            return False
        return self.subject(setting).same_node == self.subject(other).same_node

    def _woken(self, question: Woken, setting: Setting, anchor: Anchor, cost: Cost) -> float:
        """Return the time of a row within a host by one between hosts, or the reverse.

        What a bare round trip takes beyond its work, cards and cable is waking up: cores from idle states by an
        interrupt, programs by their packet. Within a host there is only the second.
        """
        here, there = question.asleep(self, setting), question.asleep(self, anchor.row.setting)
        beside = self._scale(question, anchor.row.setting) * anchor.cost.work + anchor.cost.waiting - there
        slower = max(0.0, anchor.seconds - beside) / there
        self._fit(anchor.row, "waking over the model's", slower)
        return self._scale(question, setting) * cost.work + cost.waiting + (slower - 1) * here

    def _one_within_a_host(self, setting: Setting, other: Setting) -> bool:
        return self.subject(setting).same_node != self.subject(other).same_node

    def _same_hops(self, question: Question, setting: Setting, other: Setting) -> bool:
        """Tell whether two bulk rows cross the same hops of bare hosts and differ in offloads or MTU alone.

        Then k scales the model, or where there is none the baseline does; a rest that is added would stand for work
        that offloads change too.
        """
        same_calls = self._calls(question, setting) == self._calls(question, other)
        return question.kind in BULK and same_calls and self.subject(setting).bare and self.subject(other).bare

    def note(self, name: str, value: float, row: str) -> None:
        """Note a parameter that a question fitted to a baseline row itself."""
        self.parameters[row] = Parameter(name, value, row)

    def _fit(self, row: Row, name: str, value: float) -> None:
        """Note a parameter, unless its row has given k already."""
        if row.id not in self.fitted:
            self.parameters[row.id] = Parameter(f"{name} ({row.id})", value, row.id)
