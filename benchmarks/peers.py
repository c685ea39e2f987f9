"""ns-3 on the same packets: builds and runs the programs of a directory, and makes sure that they simulate the same.

``--peers DIR`` of `benchmarks.run` names the directory. It holds ``build.sh BIN``, which compiles into a directory
(needs g++ and the ns-3 headers, ``apt-get install g++ libns3-dev``), and the sources. *Lean* ns-3 is its fastest use:
every station a point-to-point device with a deep queue, no IP; one hop of the workload is one such device. A run counts
if its mean sojourn (mean round trip, for the closed loop) is that of netsim to a part in 10⁹; ns-3 keeps times in whole
femtoseconds, netsim in binary fractions.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.workloads import Closed, Open

PROGRAM = "ns3_337"
SAME = 1e-9
"""By how much the mean sojourn may differ, relative."""


@dataclass(frozen=True)
class Ns3:
    """Compiled programs, and where their input goes."""

    directory: Path

    def rate(self, name: str, work: Open | Closed, mean_ns: float) -> float:
        """Return million packet-hops a second of CPU time, building and reading not counted.

        Raises
        ------
        AssertionError: ns-3 simulated something else.
        """
        data = self.directory / f"{name}.bin"
        write(data, work)
        done = subprocess.run(
            [self.directory / PROGRAM, "lean", name, data], check=True, capture_output=True, text=True
        )  # fmt: skip
        found = json.loads(done.stdout)
        if abs(found["mean"] / mean_ns - 1.0) > SAME:
            raise AssertionError(f"{name}: ns-3 finds a mean of {found['mean']} ns, netsim {mean_ns} ns")
        return float(found["hpc"]) / 1e6


def build(sources: Path, directory: Path) -> Ns3 | None:
    """Compile the programs; ``None`` where there is no compiler or no ns-3."""
    headers = (Path(root, "ns3") for root in ("/usr/include", "/usr/local/include"))
    if shutil.which("g++") is None or not any(path.is_dir() for path in headers):
        return None
    subprocess.run(["sh", "build.sh", directory], cwd=sources, check=True, capture_output=True)
    return Ns3(directory)


def write(path: Path, work: Open | Closed) -> None:
    """Write a workload as the programs read it: a count, then arrays."""
    with path.open("wb") as file:
        if isinstance(work, Open):
            np.array([len(work.births)], np.int64).tofile(file)
            np.array(work.births).tofile(file)
            np.array(work.size, np.uint8).tofile(file)
            if len(work.routes) > 1:
                np.array(work.routes, np.int32)[np.array(work.kind)].tofile(file)
            return
        think = np.array(work.think)
        np.array([think.size], np.int64).tofile(file)
        think.tofile(file)
        np.array(work.request, np.uint8).tofile(file)
        np.array(work.response, np.uint8).tofile(file)
        np.array(work.route, np.int32).tofile(file)


def mean_ns(work: Open | Closed, done: list[float]) -> float:
    """Return the mean sojourn of departures, or the mean of round trips."""
    times = np.array(done)
    return float(np.mean(times - np.array(work.births) if isinstance(work, Open) else times))
