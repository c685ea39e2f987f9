from __future__ import annotations

import json
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from netsim.cli import baseline, compare
from netsim.errors import InputError

SCENARIO = """
name: gate
cluster: {synthetic: {nodes: 3, pods_per_node: 4, services: 3, namespaces: 1}}
network: {plugin: NAME}
traffic: [{from: all, to: service-1, rate: 50/s}]
run: {replications: 5, transactions: 200}
"""


@pytest.fixture
def app() -> typer.Typer:
    made = typer.Typer()
    made.command("compare")(compare.command)
    made.add_typer(baseline.app, name="baseline")
    return made


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for plugin in ("kubenet", "calico-ipip"):
        Path(f"{plugin}.yaml").write_text(SCENARIO.replace("NAME", plugin))
    return tmp_path


def invoke(app: typer.Typer, *arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(app, list(arguments))
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.exit_code, result.stdout


def test_a_scenario_against_itself_and_against_another_plugin(app: typer.Typer, home: Path) -> None:
    code, text = invoke(app, "compare", "kubenet.yaml", "kubenet.yaml", "--workers", "1")
    assert code == 0
    assert "PASS" in text
    code, text = invoke(
        app, "compare", "kubenet.yaml", "calico-ipip.yaml", "--workers", "1", "--format", "json",
        "--junit", "out.xml", "--markdown", "summary.md",
    )  # fmt: skip
    document = json.loads(text)
    assert code == (0 if document["ok"] else 1)
    assert "scenario: network.plugin: kubenet -> calico-ipip" in document["differences"]
    assert (home / "out.xml").read_text().startswith("<?xml")
    assert "### netsim:" in (home / "summary.md").read_text()


def test_baselines_are_written_checked_and_updated(app: typer.Typer, home: Path) -> None:
    assert invoke(app, "baseline", "update", "kubenet.yaml", "--workers", "1")[0] == 0
    first = (home / "results" / "baseline" / "kubenet.json").read_text()
    assert invoke(app, "baseline", "check", "--exact", "--workers", "1")[0] == 0
    invoke(app, "baseline", "update", "--workers", "1")
    assert (home / "results" / "baseline" / "kubenet.json").read_text() == first
    faster = (home / "kubenet.yaml").read_text().replace("50/s", "10/s")
    (home / "kubenet.yaml").write_text(faster)
    code, text = invoke(app, "baseline", "check", "--workers", "1")
    assert code == 1
    assert "scenario: traffic[0].rate: 50/s -> 10/s" in text
    wide = ("--tolerance", "throughput=95%", "--tolerance", "goodput=95%", "--tolerance", "default=90%")
    assert invoke(app, "baseline", "check", "--workers", "1", *wide)[0] == 0


@pytest.mark.parametrize(
    "arguments",
    [("compare", "kubenet.yaml"), ("compare", "kubenet.yaml", "nothing.json"), ("baseline", "check"),
     ("compare", "--git", "main", "kubenet.yaml"),
     ("compare", "kubenet.yaml", "kubenet.yaml", "--tolerance", "x=wide")],
)  # fmt: skip
def test_mistakes_are_input_errors(app: typer.Typer, home: Path, arguments: tuple[str, ...]) -> None:
    with pytest.raises(InputError):
        invoke(app, *arguments)


BROKEN = {
    "cut off": lambda text: text[: len(text) // 2],
    "of an older layout": lambda text: text.replace('"netsim_baseline": 2', '"netsim_baseline": 1'),
    "without figures": lambda text: text.replace('"figures"', '"numbers"'),
    "of text where numbers are": lambda text: text.replace('"values": [', '"values": ["a", '),
    "empty": lambda text: "",
    "not text": lambda text: "\0\0",
}


@pytest.mark.parametrize("how", BROKEN)
def test_a_broken_baseline_is_one_message_and_exit_2(netsim_command, app: typer.Typer, home: Path, how: str) -> None:
    invoke(app, "baseline", "update", "kubenet.yaml", "--workers", "1")
    path = home / "results" / "baseline" / "kubenet.json"
    path.write_text(BROKEN[how](path.read_text()))
    asked = [("baseline", "check", "--workers", 1)]
    if how not in ("empty", "not text"):  # without its first key it is no baseline, and read as a scenario
        asked.append(("compare", path, "kubenet.yaml", "--workers", 1))
    for arguments in asked:
        outcome = netsim_command(*arguments)
        assert outcome.code == 2, outcome.out
        assert "kubenet.json" in outcome.err
        assert outcome.out == "" and "Traceback" not in outcome.err
