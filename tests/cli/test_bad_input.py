"""Whatever a user gets wrong: exit code 2, one message that says where, what and what else, and no traceback."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

Command = Callable[..., Any]

SCENARIO = """\
name: small
cluster: {synthetic: {nodes: 3, pods_per_node: 4, services: 3, namespaces: 1}}
network: {plugin: kubenet}
traffic:
  - from: all
    to: service-1
    rate: 20/s
run: {replications: 1, transactions: 20}
"""
APPLICATION = """\
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 3
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec: {containers: [{name: c, image: x, env: [{name: API, value: "http://api:80"}]}]}
---
apiVersion: v1
kind: Service
metadata: {name: api}
spec: {selector: {app: web}, ports: [{port: 80}]}
"""
CASES = yaml.safe_load((Path(__file__).parent / "bad_input.yaml").read_text())
IN_THE_FILE, ON_THE_COMMAND_LINE = CASES["in the scenario's file"], CASES["on the command line"]


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    Path("scenario.yaml").write_text(SCENARIO)
    Path("app.yaml").write_text(APPLICATION)
    return tmp_path


def message_of(netsim_command: Command, *arguments: object) -> str:
    """Run a command that must refuse; return its one message."""
    done = netsim_command(*arguments)
    assert done.code == 2, done
    assert done.out == ""
    assert done.err.startswith("netsim: "), done.err
    assert done.err.count("\n") == 1, done.err
    return str(done.err.removeprefix("netsim: ").rstrip("\n"))


def check(message: str, *parts: str) -> None:
    for part in parts:
        assert part in message


# ------------------------------------------------------------------------------------------------ in the file


@pytest.mark.parametrize("case", IN_THE_FILE)
def test_the_scenario_file_is_named_with_line_and_field(netsim_command: Command, home: Path, case: str) -> None:
    change = IN_THE_FILE[case]
    assert change["replace"] in SCENARIO
    Path("scenario.yaml").write_text(SCENARIO.replace(change["replace"], change["by"], 1))
    check(message_of(netsim_command, "run", "scenario.yaml", "--format", "json"), change["says"])


def test_aliases_that_grow_without_end_are_stopped(netsim_command: Command, home: Path) -> None:
    tenfold = (f"k{n}: &{chr(98 + n)} [{', '.join(['*' + chr(97 + n)] * 10)}]\n" for n in range(8))
    Path("scenario.yaml").write_text(f"name: &a [x, y]\n{''.join(tenfold)}cluster: {{nodes: 3}}\n")
    check(message_of(netsim_command, "run", "scenario.yaml"), "scenario.yaml: too many values for a scenario")


# ------------------------------------------------------------------------------------------------ on the command line


@pytest.mark.parametrize("case", ON_THE_COMMAND_LINE)
def test_the_command_line_is_named_where_it_is_to_blame(netsim_command: Command, home: Path, case: str) -> None:
    check(message_of(netsim_command, *ON_THE_COMMAND_LINE[case]["arguments"]), ON_THE_COMMAND_LINE[case]["says"])


@pytest.mark.parametrize(
    "arguments",
    [
        ["run", "scenario.yaml", "--proxy", "magic"],
        ["run", "scenario.yaml", "--seed", "x"],
        ["run", "scenario.yaml", "--workers", "0"],
        ["run", "scenario.yaml", "--format", "xml"],
        ["run", "scenario.yaml", "--colour"],
        ["inspect", "path", "scenario.yaml"],
        ["ran", "scenario.yaml"],
    ],
)
def test_options_that_do_not_exist_end_with_usage_and_one_error(
    netsim_command: Command, home: Path, arguments: list[str]
) -> None:
    done = netsim_command(*arguments)
    assert done.code == 2
    assert done.out == ""
    assert done.err.startswith("Usage: netsim")
    assert done.err.count("Error: ") == 1
    assert done.err.splitlines()[-1].startswith("Error: ")


# ------------------------------------------------------------------------------------------------ files of other kinds


def changed(before: str, after: str) -> bytes:
    assert before in APPLICATION
    return APPLICATION.replace(before, after).encode()


NONE_IN_FILE = "no Kubernetes object in this file; allowed: manifests or a dump"
RANGE = "not a number in range; got"
FILES: dict[str, tuple[str, bytes, str]] = {
    "empty": ("x.yaml", b"", NONE_IN_FILE),
    "only a comment": ("x.yaml", b"# later\n", NONE_IN_FILE),
    "a list": ("x.yaml", b"- a\n- b\n", "x.yaml:1: not an object"),
    "a word": ("x.yaml", b"hello\n", "x.yaml:1: not an object; got 'hello'; allowed: a mapping with kind and metadata"),
    "a text": ("x.txt", b"hello\n", "x.txt:1: not an object"),
    "binary": ("x.yaml", bytes(range(256)), "x.yaml: not a text file in UTF-8"),
    "another encoding": ("x.yaml", SCENARIO.encode("utf-16"), "x.yaml: not a text file in UTF-8"),
    "a null byte": ("x.yaml", b"cluster: \x00 a\n", "x.yaml:1: not valid YAML: unacceptable character"),
    "a template": ("x.yaml", b"kind: Service\nmetadata: {name: {{ .name }}}\n", "x.yaml:2: a template, not a manifest"),
    "a condition": ("x.yaml", b"{{- if .x }}\nkind: Service\n{{- end }}\n", "x.yaml:1: a template, not a manifest"),
    "a number in JSON": ("x.json", b"3", "x.json:1: not an object; got 'a number'"),
    "half a JSON document": ("x.json", b'{"kind": "List", "items": [', "x.json:1: broken JSON"),
    "an empty list": ("x.json", b'{"kind": "List", "apiVersion": "v1", "items": []}', NONE_IN_FILE),
    "no kind": ("x.yaml", b"metadata: {name: a}\nspec: {}\n", "x.yaml:1: kind: not a Kubernetes object"),
    "broken YAML": ("x.yaml", b"apiVersion: v1\nkind: Pod\nmetadata: {name: [}\n", "x.yaml:3: broken YAML"),
    "replicas in words": (
        "x.yaml",
        changed("replicas: 3", "replicas: many"),
        f"x.yaml:5: spec.replicas: {RANGE} 'many'",
    ),
    "replicas below zero": ("x.yaml", changed("replicas: 3", "replicas: -3"), f"x.yaml:5: spec.replicas: {RANGE} '-3'"),
    "a port too high": (
        "x.yaml",
        changed("port: 80}", "port: 99999}"),
        f"x.yaml:14: spec.ports[0].port: {RANGE} '99999'",
    ),
    "no name": ("x.yaml", changed("name: web", "nome: web"), "x.yaml:3: metadata.name: a name is missing"),
    "a selector of nobody": (
        "x.yaml",
        changed("matchLabels: {app: web}", "matchLabels: {app: other}"),
        "x.yaml:6: spec.selector.matchLabels: the selector does not match",
    ),
    "nobody who calls": (
        "x.yaml",
        b"apiVersion: v1\nkind: Service\nmetadata: {name: a}\nspec: {ports: [{port: 80}]}\n",
        "traffic: no traffic is stated and none can be inferred",
    ),
}


@pytest.mark.parametrize("case", FILES)
def test_files_that_hold_no_cluster(netsim_command: Command, home: Path, case: str) -> None:
    name, content, expected = FILES[case]
    Path(name).write_bytes(content)
    check(message_of(netsim_command, "run", name, "--format", "json"), expected)


def test_directories_without_manifests(netsim_command: Command, home: Path) -> None:
    Path("empty").mkdir()
    check(
        message_of(netsim_command, "run", "empty"), "empty: no manifest in this directory; allowed: .yaml, .yml, .json"
    )
    Path("values").mkdir()
    Path("values/values.yaml").write_text("replicas: 3\n")
    check(message_of(netsim_command, "run", "values"), "values: no Kubernetes object; allowed: manifests or a dump")


def test_manifests_that_a_scenario_names(netsim_command: Command, home: Path) -> None:
    Path("other.yaml").write_text("name: x\ncluster: {manifests: nowhere.yaml}\n")
    check(message_of(netsim_command, "run", "other.yaml"), "nowhere.yaml: no such file or directory")
    Path("other.yaml").write_text("name: x\ncluster: {manifests: scenario.yaml}\n")
    check(message_of(netsim_command, "run", "other.yaml"), "scenario.yaml:1: kind: not a Kubernetes object")


@pytest.mark.parametrize(
    ("option", "text", "expected"),
    [
        ("--plugin", "name: own\n", "own.yaml:1: title: title is missing"),
        ("--plugin", "name: [\n", "own.yaml:2: not valid YAML"),
        ("--costs", "name: own\ntitle: t\nspeed: 3\n", "own.yaml:3: speed: unknown key; got 3; allowed: clock_ghz, "),
        ("--costs", "name: own\ntitle: t\nextends: own.yaml\n", "own.yaml: extends: a profile that extends itself"),
        ("--costs", "[]\n", "own.yaml:1: not a mapping"),
    ],
)
def test_plugins_and_profiles_of_users(
    netsim_command: Command, home: Path, option: str, text: str, expected: str
) -> None:
    Path("own.yaml").write_text(text)
    check(message_of(netsim_command, "run", "scenario.yaml", option, "own.yaml"), expected)


# ------------------------------------------------------------------------------------------------ result folders


def test_a_folder_with_other_things_is_left_alone(netsim_command: Command, home: Path) -> None:
    Path("mine").mkdir()
    Path("mine/thesis.txt").write_text("years of work")
    message = message_of(netsim_command, "run", "scenario.yaml", "-o", "mine")
    check(message, "mine: the folder is not empty and holds no results of netsim; allowed: an empty or new folder")
    assert [path.name for path in Path("mine").iterdir()] == ["thesis.txt"]


MANIFESTS = {
    "broken": ("{", "not a readable manifest"),
    "foreign": ("{}", "not a manifest of netsim results"),
    "of another layout": (
        '{"netsim_manifest": 99}',
        "netsim_manifest: a manifest of another layout; got 99; allowed: 1",
    ),
    "incomplete": ('{"netsim_manifest": 1, "scenario": {}}', "versions: the manifest is incomplete"),
    "empty": ('{"netsim_manifest": 1, "scenario": {}, "versions": {}, "points": []}', "cluster: cluster is missing"),
    "short of points": (
        json.dumps({"netsim_manifest": 1, "scenario": {"cluster": {"synthetic": {}}}, "versions": {}, "points": []}),
        "points: the manifest's points are not those of its scenario; got '0 points'; allowed: 1",
    ),
}


@pytest.mark.parametrize("case", MANIFESTS)
def test_manifests_of_results_that_cannot_be_read(netsim_command: Command, home: Path, case: str) -> None:
    text, expected = MANIFESTS[case]
    Path("results").mkdir()
    Path("results/manifest.json").write_text(text)
    check(message_of(netsim_command, "report", "results"), "results/manifest.json: ", expected)


def test_manifests_of_results_that_cannot_be_run(netsim_command: Command, home: Path) -> None:
    Path("manifest.json").write_text('{"netsim_manifest": 1, "scenario": 5}')
    check(message_of(netsim_command, "run", "manifest.json"), "manifest.json: scenario: the manifest holds no scenario")


# ------------------------------------------------------------------------------------------------ the real command


@pytest.mark.parametrize(
    "arguments", [["run", "nowhere.yaml"], ["inspect", "limits", "scenario.yaml", "--plugin", "x"]]
)
def test_the_installed_command_refuses_the_same_way(home: Path, arguments: list[str]) -> None:
    done = subprocess.run(
        [str(Path(sys.executable).with_name("netsim")), *arguments], capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.startswith("netsim: ")
    assert done.stderr.count("\n") == 1
