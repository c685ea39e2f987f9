"""Options that several commands share, stated once."""

from __future__ import annotations

import atexit
import json
import shutil
import sys
import tempfile
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer


class Format(StrEnum):
    """How a command prints its answer."""

    TEXT = "text"
    JSON = "json"


class Proxy(StrEnum):
    """Service implementations."""

    IPTABLES = "iptables"
    IPVS = "ipvs"
    NFTABLES = "nftables"
    EBPF = "ebpf"


def _standard_input(path: Path) -> Path:
    """Let ``-`` stand for manifests or a dump on standard input (``kubectl get … -o yaml | netsim inspect …``)."""
    if str(path) != "-":
        return path
    folder = Path(tempfile.mkdtemp(prefix="netsim-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    file = folder / "stdin.yaml"
    file.write_bytes(sys.stdin.buffer.read())
    return file


ScenarioPath = Annotated[
    Path, typer.Argument(help="scenario file, manifest file, dump or directory", metavar="SCENARIO")
]
ClusterPath = Annotated[
    Path,
    typer.Argument(
        help="scenario file, manifest file, dump or directory; - reads manifests from standard input",
        metavar="CLUSTER", callback=_standard_input,
    ),
]  # fmt: skip
FormatOption = Annotated[Format, typer.Option("--format", help="text for people, json for programs")]
SetOption = Annotated[
    list[str] | None, typer.Option("--set", help="change a key of the scenario: cluster.nodes=100", metavar="KEY=VALUE")
]
OutOption = Annotated[Path | None, typer.Option("-o", "--out", help="result folder")]
SeedOption = Annotated[int | None, typer.Option("--seed", min=0, help="seed of the random streams")]
WorkersOption = Annotated[int | None, typer.Option("--workers", min=1, help="processes; default: all cores")]
PrecisionOption = Annotated[
    str | None, typer.Option("--precision", help="add replications until intervals are this narrow: 5%")
]
UncertaintyOption = Annotated[
    int,
    typer.Option(
        "--uncertainty", min=0, metavar="N",
        help="also run N draws of the costs within their ranges: prediction intervals, and the costs that matter most",
    ),
]  # fmt: skip
PluginOption = Annotated[str | None, typer.Option("--plugin", help="network plugin, shipped or a file")]
ProxyOption = Annotated[Proxy | None, typer.Option("--proxy", help="service implementation")]
CostsOption = Annotated[str | None, typer.Option("--costs", help="cost profile, shipped or a file")]


def print_json(document: Any) -> None:
    """Print one JSON document on standard output, and nothing else."""
    typer.echo(json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False))


def assignments(
    pairs: list[str] | None,
    *,
    seed: int | None = None,
    precision: str | None = None,
    plugin: str | None = None,
    proxy: Proxy | None = None,
    costs: str | None = None,
) -> dict[str, Any]:
    """Join ``--set`` and the short options that stand for a key of the scenario."""
    from netsim.scenario import parse_assignments

    named = {
        "run.seed": seed,
        "run.precision": precision,
        "network.plugin": plugin,
        "network.proxy": None if proxy is None else proxy.value,
        "network.costs": costs,
    }
    return {**parse_assignments(pairs or []), **{key: value for key, value in named.items() if value is not None}}
