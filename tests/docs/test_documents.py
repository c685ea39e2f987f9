"""What the documents promise is true: their commands run, their links lead somewhere, their lists are the code's."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import netsim
from netsim.cli.app import app
from netsim.report.notes import LEFT_OUT

ROOT = Path(__file__).parents[2]
DOCUMENTS = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").rglob("*.md"))]
SMALL = ["--set", "run.replications=2", "--set", "run.transactions=40", "--workers", "1"]


def blocks(path: Path, language: str) -> Iterator[str]:
    """Yield the code blocks of a language."""
    yield from re.findall(rf"^```{language}\n(.*?)^```$", path.read_text(), re.MULTILINE | re.DOTALL)


def commands(path: Path, language: str = "sh") -> list[str]:
    return [line.strip() for block in blocks(path, language) for line in block.splitlines() if line.strip()]


def test_the_readme_begins_with_two_commands_that_make_knows() -> None:
    first = next(blocks(ROOT / "README.md", "sh"))
    targets = re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    used = [shlex.split(line, comments=True) for line in first.splitlines()]
    assert used == [["make", "demo"], ["make", "test"]]
    assert {"demo", "test"} <= set(targets)


def test_every_command_in_the_documents_exists() -> None:
    names = {command.name or command.callback.__name__ for command in app.registered_commands if command.callback}
    groups = {group.name for group in app.registered_groups}
    for path in DOCUMENTS:
        for line in re.findall(r"^netsim ([a-z]+)", path.read_text(), re.MULTILINE):
            assert line in names | groups, f"{path.name}: netsim {line}"


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_links_lead_somewhere(path: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", path.read_text()):
        if not target.startswith("http"):
            assert (path.parent / target).exists(), target


def test_files_that_documents_name_exist() -> None:
    for name in re.findall(
        r"`((?:netsim|experiments|notebooks|tests|docs)/[\w./-]+)`", (ROOT / "README.md").read_text()
    ):
        assert (ROOT / name).exists(), name
    model = (ROOT / "docs" / "model.md").read_text()
    homes = [ROOT / "netsim", ROOT / "netsim" / "datapath", ROOT / "netsim" / "engine", ROOT]
    for name in re.findall(r"`([\w/-]+\.(?:py|yaml|md))`", model):
        assert any((home / name).exists() for home in homes), name


def test_what_is_left_out_is_the_same_everywhere() -> None:
    listed = "\n".join(f"- {item}" for item in LEFT_OUT)
    for path in (ROOT / "README.md", ROOT / "docs" / "model.md"):
        assert f"## What it leaves out\n\n{listed}\n" in path.read_text(), path.name


@pytest.mark.slow
def test_the_tutorial_can_be_followed(
    netsim_command: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    typed = [shlex.split(line, comments=True) for line in commands(ROOT / "docs" / "tutorial.md")]
    assert len(typed) >= 12
    for program, *arguments in typed:
        assert program == "netsim"
        more = SMALL if arguments[0] in ("run", "sweep", "capacity") else []
        done = netsim_command(*arguments, *more)
        assert done.code == 0, (arguments, done.err, done.out[-300:])
    assert (tmp_path / "results" / "shop" / "report.html").is_file()
    assert (tmp_path / "results" / "growth" / "figures.csv").is_file()


def test_the_python_of_the_documents_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    small = "name: s\ncluster: {synthetic: {nodes: 2, pods_per_node: 2, services: 1, namespaces: 1}}\n"
    small += "traffic: [{from: all, to: service-1, rate: 20/s}]\nrun: {replications: 2, transactions: 40}\n"
    (tmp_path / "shop").mkdir()
    for name in ("scenario.yaml", "shop/scenario.yaml"):
        (tmp_path / name).write_text(small)
    for path in (ROOT / "README.md", ROOT / "docs" / "tutorial.md"):
        code = next(blocks(path, "python")).replace("shop/web-0", "ns-1/app-1-0")
        exec(compile(code.replace("shop/api:8080", "ns-1/service-1:8080"), str(path), "exec"), {})


def test_importing_netsim_is_light() -> None:
    code = "import sys, netsim; print([m for m in ('pandas', 'matplotlib', 'scipy', 'pyarrow') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
    for name in netsim.__all__:
        assert getattr(netsim, name) is not None
