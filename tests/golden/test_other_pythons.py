"""Other Python versions give the same bits, where they and the dependencies are installed.

``NETSIM_PYTHONS`` names further interpreters (of virtual environments), separated like the entries of ``PATH``.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from functools import lru_cache
from pathlib import Path

import pytest

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
VERSIONS = ("3.11", "3.12", "3.13")
PROBE = "import sys, numpy, pydantic, simpy, yaml; print('%d.%d' % sys.version_info[:2])"
PROGRAM = f"""
import hashlib, json, yaml
from netsim.engine.run import run_replication
from netsim.scenario import build
from netsim.study.runner import model_of

for name, document in yaml.safe_load(open({str(HERE / "scenarios.yaml")!r})).items():
    if name != "sampled":
        found = run_replication(model_of(build(document))[0], seed=7)
        digest = hashlib.sha256(found.start_s.tobytes())
        for metric in sorted(found.times):
            digest.update(found.times[metric].tobytes())
        print(json.dumps([name, found.events, digest.hexdigest(), [repr(each) for each in found.scalars]]))
"""


def interpreters() -> list[str]:
    """Return what may be an interpreter of another version."""
    stated = [path for path in os.environ.get("NETSIM_PYTHONS", "").split(os.pathsep) if path]
    pyenv = sorted(Path.home().glob(".pyenv/versions/3.1[123]*/bin/python"))
    return [*stated, *(path for v in VERSIONS if (path := shutil.which(f"python{v}"))), *map(str, pyenv)]


def output(python: str, program: str) -> str | None:
    """Run a program; `None` when it fails."""
    surroundings = {**os.environ, "PYTHONPATH": str(ROOT)}
    found = subprocess.run([python, "-c", program], capture_output=True, text=True, check=False, env=surroundings)
    return found.stdout if found.returncode == 0 else None


@lru_cache(maxsize=1)
def usable() -> dict[str, str]:
    """Return interpreters that have the dependencies, one a version."""
    found: dict[str, str] = {}
    for python in interpreters():
        version = (output(python, PROBE) or "").strip()
        if version:
            found.setdefault(version, python)
    return found


@pytest.mark.parametrize("version", VERSIONS)
def test_another_python_gives_the_same_bits(version: str) -> None:
    if version == f"{sys.version_info[0]}.{sys.version_info[1]}":
        pytest.skip("this interpreter itself")
    python = usable().get(version)
    if python is None:
        pytest.skip(f"no Python {version} with the dependencies; NETSIM_PYTHONS may name one")
    ours, theirs = output(sys.executable, PROGRAM), output(python, PROGRAM)
    assert ours is not None
    assert theirs == ours
    assert len([json.loads(line) for line in ours.splitlines()]) >= 2
