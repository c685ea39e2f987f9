"""What produced a result: scenario, inputs, versions, model and cost digests; enough to run it again."""

from __future__ import annotations

import hashlib
import json
import platform
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from importlib import metadata
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any, NamedTuple

from netsim.scenario.loading import override
from netsim.scenario.spec import Scenario
from netsim.version import VERSION

FORMAT = 1
"""Version of the manifest's layout; raised when a reader of the old one would misread the new one."""
LIBRARIES = ("simpy", "numpy", "scipy", "pyarrow")
MODEL_PACKAGES = ("scenario", "cluster", "datapath", "engine", "stats", "study", "data")
"""Parts of netsim that can move a figure."""
PATH_KEYS = ("cluster.manifests", "network.plugin", "network.costs", "dns.corefile")
"""Keys of a scenario that may name files."""
COPIED_SUFFIXES = (".yaml", ".yml", ".json", ".conf", ".conflist", ".env")
"""What is read out of a directory: manifests, CNI configurations and flannel's ``subnet.env``."""


class Input(NamedTuple):
    """A file or directory the scenario names, and where the result folder keeps its copy."""

    source: Path
    kept_as: str


def digest(content: bytes) -> str:
    """Return the first 16 hexadecimal digits of SHA-256."""
    return hashlib.sha256(content).hexdigest()[:16]


@lru_cache(maxsize=1)
def model_digest() -> str:
    """Return a digest of the model's own code and data: equal digests give equal tables."""
    total = hashlib.sha256()
    root = files("netsim")
    for package in MODEL_PACKAGES:
        for name, content in _contents(root / package, package):
            total.update(name.encode())
            total.update(content)
    return total.hexdigest()[:16]


def _contents(folder: Traversable, prefix: str) -> Iterator[tuple[str, bytes]]:
    for item in sorted(folder.iterdir(), key=lambda item: item.name):
        name = f"{prefix}/{item.name}"
        if item.is_dir():
            if item.name != "__pycache__":
                yield from _contents(item, name)
        elif item.name.endswith((".py", ".yaml", ".csv", ".json")):
            yield name, item.read_bytes()


def versions() -> dict[str, str]:
    """Return the versions of netsim, Python and the libraries that touch figures."""
    libraries = {name: metadata.version(name) for name in LIBRARIES}
    return {"netsim": VERSION, "model": model_digest(), "python": platform.python_version(), **libraries}


def relocate(scenario: Scenario) -> tuple[dict[str, Any], tuple[Input, ...]]:
    """Return the scenario's document with its paths pointing into a folder of copies, and the inputs to copy there.

    A value counts as a path when something exists there, seen from the scenario's directory; names of shipped
    plugins and profiles, and a Corefile's text, stay what they are.
    """
    inputs: dict[Path, Input] = {}

    def moved(value: Any) -> Any:
        if isinstance(value, list | tuple):
            return [moved(item) for item in value]
        path = _existing(scenario.directory, value)
        if path is None:
            return value
        if path not in inputs:
            taken = {known.kept_as for known in inputs.values()}
            inputs[path] = Input(path, _free_name(path.name or "input", taken))
        return inputs[path].kept_as

    document = json.loads(json.dumps(scenario.document))
    changes = {key: moved(value) for key in PATH_KEYS if (value := _get(document, key)) is not None}
    document = override(document, changes)
    for section in ("sweep", "what_if"):
        levels = document.get(section)
        if isinstance(levels, dict):
            document[section] = {key: moved(value) if key in PATH_KEYS else value for key, value in levels.items()}
    return document, tuple(inputs.values())


def _existing(directory: Path, value: Any) -> Path | None:
    if not isinstance(value, str) or "\n" in value or not value:
        return None
    path = directory / value
    try:
        return path.resolve() if path.exists() else None
    except OSError:  # too long for a name: a text, not a path
        return None


def _get(document: Mapping[str, Any], key: str) -> Any:
    here: Any = document
    for part in key.split("."):
        if not isinstance(here, Mapping) or part not in here:
            return None
        here = here[part]
    return here


def _free_name(name: str, taken: set[str]) -> str:
    if name not in taken:
        return name
    stem, dot, suffix = name.partition(".")
    number = next(n for n in range(2, len(taken) + 3) if f"{stem}-{n}{dot}{suffix}" not in taken)
    return f"{stem}-{number}{dot}{suffix}"


def input_files(source: Input) -> Iterator[tuple[str, bytes]]:
    """Yield the files of an input, named as in the folder of copies; of a directory, what netsim would read."""
    if source.source.is_file():
        yield source.kept_as, source.source.read_bytes()
        return
    for path in sorted(source.source.rglob("*")):
        if path.is_file() and path.suffix in COPIED_SUFFIXES:
            yield f"{source.kept_as}/{path.relative_to(source.source).as_posix()}", path.read_bytes()


def input_digests(inputs: Sequence[Input]) -> dict[str, str]:
    """Return the digest of every file that goes into the folder of copies."""
    return {name: digest(content) for source in inputs for name, content in input_files(source)}


def cost_digests(scenarios: Sequence[Scenario]) -> dict[str, str]:
    """Return the digest of every cost profile the scenarios use: of its figures, not of the file's spelling."""
    from netsim.datapath.costs import load_profile, profile_names

    found: dict[str, str] = {}
    for scenario in scenarios:
        name = scenario.network.costs
        if name in found:
            continue
        profile = load_profile(name if name in profile_names() else str(scenario.directory / name))
        found[name] = digest(json.dumps(profile.model_dump(mode="json"), sort_keys=True).encode())
    return found
