"""Cores that a new connection finds asleep: its hash picks others than those that served the last ones.

A card's hash (RSS) sends each flow to a queue of its own, and connections made one after the other have new ports. The
queues' cores have slept since their last connection: on hosts that use idle states, in the deepest. A kept connection's
cores are woken every few tens of microseconds, so that Linux's governors leave them in a shallow state
(drivers/cpuidle/governors/menu.c); that is part of what a round trip waits.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from netsim.calibration.published.machine_factor import sleep_unstated

if TYPE_CHECKING:
    from netsim.calibration.published.bench import Bench
    from netsim.calibration.published.question import Cost
    from netsim.calibration.published.setting import Setting
    from netsim.datapath.types import Route

RESIDENCY_S = 600e-6
"""How long a core has to sleep before the deepest idle state is worth it and is chosen (``target_residency`` of C6 from
Haswell to Skylake servers, Linux drivers/idle/intel_idle.c)."""
ROUNDS = 20
"""Steps to the time of a connection whose share of sleeping cores depends on that time."""


def deep_wakes_s(bench: Bench, setting: Setting, cost: Cost, route: Route) -> float:
    """Return what the first packets of a connection wait for cores to leave deep sleep, in seconds.

    The server's core sleeps when SYN comes, the client's when its answer does; what follows finds both awake. Within
    a node packets stay on the core that sent them.

    Parameters
    ----------
    cost: of the connection on awake cores; how often connections come decides how long cores have slept.
    route: of its packets.
    """
    wakes = _fresh_cores(bench, setting, route)
    deep = wakes * _in_use(bench) * bench.figure("wakeup.long") if wakes else 0.0
    cores = bench.testbed.machine.queues
    if deep <= 0 or cores <= 1:
        return 0.0
    awake, waited = math.fsum(cost), deep
    for _ in range(ROUNDS):
        waited = deep * still_asleep(cores, setting.streams * RESIDENCY_S / (awake + waited))
    return waited


def still_asleep(cores: int, connections: float) -> float:
    """Return the chance that none of so many connections, each on any of the cores, was on the one that comes next."""
    return math.pow(1 - 1 / cores, connections)


def _fresh_cores(bench: Bench, setting: Setting, route: Route) -> int:
    """Return on how many sides a hash picks the core: none within a node, none where one core has all flows.

    Cards that send a flow's answers to the core it was sent by know it from SYN on (Linux drivers/net/ethernet/intel,
    ``ixgbe_atr`` samples each): SYN-ACK finds the client's program's core, which has just sent.
    """
    subject, hardware = bench.subject(setting), bench.hardware
    one_core = route.paired and not hardware.hashes_inside
    if subject.same_node or subject.steered or one_core:
        return 0
    return 1 if hardware.transmit_queue == "flow" else 2


def _in_use(bench: Bench) -> float:
    """Return how surely the hosts' idle states are in use, 0 to 1.

    A bare round trip of cores that sleep says so. Where nobody says it, they are as far as `idle.unstated` is drawn
    with them: hosts without any wake in no time. A guest's cores are the hypervisor's.
    """
    if bench.hardware.virtual or bench.hardware.tuned:
        return 0.0
    if sleep_unstated(bench):
        usual = bench.profile.figures["idle.unstated"].chosen(bench.case.sources).value
        return min(1.0, bench.prices().values["idle.unstated"] / usual)
    return 1.0 if bench.asleep else 0.0
