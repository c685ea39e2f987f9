"""DNS load: clients that look names up and do nothing else."""

from __future__ import annotations

from math import nan
from typing import TYPE_CHECKING

from netsim.engine.measuring.probes import EdgeRecord
from netsim.engine.workload.calls import FAILED

if TYPE_CHECKING:
    from netsim.engine.network import Network, Party
    from netsim.engine.workload.calls import Resolver, Steps, Wake


class LookupCaller:
    """Looks one name up, over and over."""

    def __init__(self, network: Network, name: str, asked: str, resolver: Resolver) -> None:
        self.network, self.name, self.asked, self.resolver = network, name, asked, resolver
        self.record = EdgeRecord(name)

    def exchange(self, source: Party, wake: Wake, now: float) -> Steps:
        """Look the name up and record how long it took."""
        faults = self.network.faults
        if faults is None:
            return self._steps(source, wake, now)
        return faults.sessions.exchange(self, self._steps, source, wake, now)

    def broken(self, source: Party, reason: str) -> float:
        """Count a look-up whose client is gone."""
        self.record.fail(reason)
        return FAILED

    def _steps(self, source: Party, wake: Wake, now: float) -> Steps:
        record = self.record
        record.started += 1
        clock = self.network.clock
        began, origin = now, clock.trace
        now = yield from self.resolver.resolve(source, wake, now)
        if now < 0.0:
            record.fail("dns")
        else:
            record.done(began, now, nan, now, (origin, clock.trace))
        return now

    def records(self) -> list[tuple[EdgeRecord, str, bool]]:
        """Return the record."""
        return [(self.record, self.asked, True)]
