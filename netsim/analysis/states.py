"""Where the sides of a comparison come from: result folders, baselines, scenarios, states of a manifest folder."""

from __future__ import annotations

import io
import os
import subprocess
import tarfile
import tempfile
import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from netsim.analysis.baseline import read_baseline
from netsim.analysis.side import Side, from_folder, from_study
from netsim.errors import InputError, Place
from netsim.scenario.loading import load, with_values
from netsim.scenario.spec import Scenario, ToleranceSpec
from netsim.study import StudyResult, run_study

Run = Callable[[Scenario], StudyResult]
"""Runs a scenario; the command line's also shows progress."""

SETTINGS_FILE = "netsim.toml"


def load_side(
    path: str | Path, run: Run = run_study, assignments: Mapping[str, Any] | None = None, *, label: str = ""
) -> Side:
    """Return what a path holds as one side: a result folder, a baseline file, or a scenario, which is run.

    ``assignments`` are set in a scenario before it runs; ``label`` names the side in place of the path.

    Raises
    ------
    InputError: nothing is there, or it is broken.
    """
    path = Path(path)
    if path.is_dir() and (path / "manifest.json").is_file():
        return from_folder(path)
    if path.suffix == ".json" and path.is_file() and _is_baseline(path):
        return read_baseline(path)
    return from_study(run(load(path, assignments)), label or str(path))


def _is_baseline(path: Path) -> bool:
    """Tell a baseline from other JSON by its first key, so that a truncated one is still recognised."""
    with path.open(encoding="utf-8", errors="replace") as stream:
        return '"netsim_baseline"' in stream.read(200)


def tolerances_for(
    *sides: Side, directory: Path | None = None, overrides: Mapping[str, Any] | None = None
) -> ToleranceSpec:
    """Return the tolerances of the last side that states any, else those of ``netsim.toml``, else the defaults.

    ``overrides`` replace single entries: metric (or ``default``) to share. Raises `InputError` for what is no share.
    """
    stated = _stated_tolerances(sides, directory or Path.cwd())
    if not overrides:
        return stated
    metrics = {**stated.metrics, **{key: value for key, value in overrides.items() if key != "default"}}
    changed = {"default": overrides.get("default", stated.default), "metrics": metrics}
    return _validated(changed, Place(field="tolerances"))


def _stated_tolerances(sides: Sequence[Side], directory: Path) -> ToleranceSpec:
    for side in reversed(sides):
        stated = side.scenario.get("tolerances")
        if stated:
            return _validated(stated, Place(side.label, field="tolerances"))
    path = directory / SETTINGS_FILE
    if not path.is_file():
        return ToleranceSpec()
    try:
        settings = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"not valid TOML: {error}", place=Place(str(path))) from error
    return _validated(settings.get("tolerances", {}), Place(str(path), field="tolerances"))


def _validated(stated: object, place: Place) -> ToleranceSpec:
    try:
        return ToleranceSpec.model_validate(stated)
    except ValidationError as error:
        first = error.errors()[0]
        message, _, allowed = first["msg"].removeprefix("Value error, ").partition("|")
        inner = ".".join([place.field, *(str(part) for part in first["loc"])])
        got = first.get("input")
        raise InputError(message, place=Place(place.file, field=inner), got=got, allowed=allowed or None) from error


# ------------------------------------------------------------------------------------------------ manifest states


def manifest_sides(
    scenario: Scenario, old: Path, new: Path, *, run: Run = run_study, labels: tuple[str, str] | None = None
) -> tuple[Side, Side]:
    """Run a scenario with the manifests of two folders (or files) and return both sides, same seeds on both."""
    sides = []
    for path, label in zip((old, new), labels or (str(old), str(new)), strict=True):
        if not path.exists():
            raise InputError("no such file or directory", place=Place(str(path)))
        state = with_values(scenario, {"cluster.manifests": str(path.resolve())})
        # the folder's own name says nothing: both sides call the manifests by the scenario's name for them
        side = from_study(run(state), label)
        sides.append(replace(side, scenario=scenario.document, inputs=_without_root(side.inputs)))
    return sides[0], sides[1]


def _without_root(inputs: Mapping[str, str]) -> dict[str, str]:
    return {name.partition("/")[2] or name: digest for name, digest in inputs.items()}


@contextmanager
def git_states(revisions: str, path: Path) -> Iterator[tuple[Path, Path, tuple[str, str]]]:
    """Check out ``path`` as of both ends of ``OLD..NEW`` into temporary folders; yield them with their labels.

    A file comes with the rest of its repository, because a scenario names files around it. An empty ``NEW`` means
    the working tree. Raises `InputError` when a revision or the path in it does not exist.
    """
    old, dots, new = revisions.partition("..")
    if not dots or not old:
        raise InputError("not a range of revisions", got=revisions, allowed="OLD..NEW, for example main..HEAD")
    with tempfile.TemporaryDirectory(prefix="netsim-") as scratch:
        before = _exported(old, path, Path(scratch) / "old")
        after = _exported(new, path, Path(scratch) / "new") if new else path
        yield before, after, (f"{old}:{path}", f"{new}:{path}" if new else str(path))


def _exported(revision: str, path: Path, target: Path) -> Path:
    """Unpack one folder or file of a revision; a revision starting with a dash is refused by ``rev-parse``."""
    home = path if path.is_dir() else path.parent
    while not home.is_dir():
        home = home.parent
    root = Path(_git(home, "rev-parse", "--show-toplevel").decode().strip())
    inside = path.resolve().relative_to(root.resolve()).as_posix()
    commit = _git(home, "rev-parse", "--verify", "--end-of-options", f"{revision}^{{commit}}").decode().strip()
    archive = _git(root, "archive", "--format=tar", commit, *(["--", inside] if path.is_dir() else []))
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        _unpack(tar, target)
    return target / inside


def _unpack(archive: tarfile.TarFile, target: Path) -> None:
    """Unpack what git packed: its names stay inside, its links have to."""
    for member in archive:
        leads = os.path.normpath(target / Path(member.name).parent / member.linkname)
        if member.issym() and not Path(leads).is_relative_to(target):
            raise InputError("a link leads out of the revision", got=f"{member.name} -> {member.linkname}")
    # Python before 3.11.4 has no filters and does not look at this
    archive.extraction_filter = getattr(tarfile, "data_filter", None)
    archive.extractall(target)


def _git(directory: Path, *arguments: str) -> bytes:
    try:
        done = subprocess.run(["git", "-C", str(directory), *arguments], capture_output=True, check=True)
    except FileNotFoundError as error:
        raise InputError("git is not installed") from error
    except subprocess.CalledProcessError as error:
        reason = error.stderr.decode(errors="replace").strip().splitlines()
        raise InputError(f"git: {reason[-1] if reason else 'failed'}", got=" ".join(arguments)) from error
    return done.stdout
