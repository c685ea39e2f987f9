"""``netsim inspect``: questions about a cluster that need no simulation."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from netsim.cli.options import (
    ClusterPath,
    CostsOption,
    Format,
    FormatOption,
    PluginOption,
    ProxyOption,
    ScenarioPath,
    SetOption,
    assignments,
    print_json,
)
from netsim.cli.tables import print_notes, print_table

if TYPE_CHECKING:
    from netsim.datapath.path_report import Way

app = typer.Typer(no_args_is_help=True, add_completion=False, rich_markup_mode=None)


def _load(path: Any, pairs: list[str] | None, **named: Any) -> Any:
    """Load what is asked about; options that name what does not exist are refused, whether they matter or not."""
    from netsim.datapath.build import plugin_of, profile_of
    from netsim.scenario import load

    scenario = load(path, assignments(pairs, **named))
    if named.get("plugin") is not None:
        plugin_of(scenario)
    if named.get("costs") is not None:
        profile_of(scenario)
    return scenario


@app.command()
def path(
    cluster: ClusterPath,
    from_: Annotated[str, typer.Option("--from", help="namespace/pod, node/NAME or external")],
    to: Annotated[
        str, typer.Option("--to", help="namespace/pod, namespace/service:port, node/NAME, ADDRESS:port or external")
    ],
    plugin: PluginOption = None,
    proxy: ProxyOption = None,
    costs: CostsOption = None,
    set_: SetOption = None,
    output: FormatOption = Format.TEXT,
) -> None:
    """Print every hop between two ends: both directions, first and established packet, with addresses and costs."""
    from netsim import inspect
    from netsim.datapath.build import cluster_of

    scenario = _load(cluster, set_, plugin=plugin, proxy=proxy, costs=costs)
    report = inspect.path(scenario, from_, to)
    if output is Format.JSON:
        print_json(report.to_dict())
        return
    typer.echo(f"{report.source} -> {report.target}" + (f" (backend {report.backend})" if report.backend else ""))
    typer.echo(
        f"{report.plugin}, {report.proxy}"
        + (f", pod MTU {report.mtu_bytes} bytes" if report.mtu_bytes else "")
        + f"; {report.verdict}"
        + (f": {report.reason}" if report.reason else "")
    )
    for title, way in (
        ("there, first packet", report.first), ("back, first packet", report.first_reply),
        ("there, established", report.established), ("back, established", report.established_reply),
    ):  # fmt: skip
        if way.hops:
            _print_way(title, way)
    for warning in report.warnings:
        typer.echo(f"warning: {warning}")
    print_notes(cluster_of(scenario).notes)


def _print_way(title: str, way: Way) -> None:
    from netsim.units import format_seconds

    rows = []
    for line in way.hops:
        outer = f" in {line.outer[0]} > {line.outer[1]}" if line.outer else ""
        rows.append(
            [
                line.hop, line.node, line.station, format_seconds(line.cost_s) if line.cost_s else "",
                format_seconds(line.latency_s) if line.latency_s else "", str(line.bytes),
                f"{_end(line.src, line.src_port)} > {_end(line.dst, line.dst_port)}{outer}",
            ]
        )  # fmt: skip
    total = f"{title}: {format_seconds(way.cost_s)} of CPU, {format_seconds(way.one_way_s)} one way on idle machines"
    print_table(total, ["hop", "node", "station", "work", "delay", "bytes", "addresses as it leaves"], rows)


def _end(address: str, port: int) -> str:
    if not port:
        return address
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


@app.command()
def dns(
    cluster: ClusterPath,
    name: Annotated[str, typer.Argument(help="the name, as an application would write it")],
    type_: Annotated[str | None, typer.Option("--type", help="A, AAAA, SRV, PTR, TXT …")] = None,
    from_: Annotated[str | None, typer.Option("--from", help="namespace/pod whose resolver asks")] = None,
    resolver: Annotated[str, typer.Option("--resolver", help="glibc, musl or go")] = "glibc",
    plugin: PluginOption = None,
    proxy: ProxyOption = None,
    costs: CostsOption = None,
    set_: SetOption = None,
    output: FormatOption = Format.TEXT,
) -> None:
    """Print what the cluster DNS answers, or the exact queries a pod's resolver sends."""
    from netsim import inspect

    report = inspect.dns(_load(cluster, set_, plugin=plugin, proxy=proxy, costs=costs), name, type_, from_, resolver)
    document: dict[str, Any] = report.to_dict()
    if output is Format.JSON:
        print_json(document)
        return
    print_table(
        f"queries for {name}" + (f" from {from_} ({resolver})" if from_ else ""),
        ["", "name", "type", "rcode"],
        [[str(i), q["name"], q["type"], q["rcode"]] for i, q in enumerate(document["queries"], 1)],
    )
    print_table(
        f"answer: {document['result']}",
        ["name", "type", "ttl", "data"],
        [[a["name"], a["type"], str(a["ttl"]), str(a["data"])] for a in document["answers"]],
    )
    if document.get("why"):
        typer.echo(f"why: {document['why']}")


@app.command()
def policy(
    cluster: ClusterPath,
    port: Annotated[str, typer.Option("--port", help="pod port: 80/TCP, or a named port")] = "80/TCP",
    from_: Annotated[str | None, typer.Option("--from", help="only these sources: namespace/pod or selector")] = None,
    to: Annotated[str | None, typer.Option("--to", help="only these destinations")] = None,
    plugin: PluginOption = None,
    proxy: ProxyOption = None,
    costs: CostsOption = None,
    set_: SetOption = None,
    output: FormatOption = Format.TEXT,
) -> None:
    """Print who may open a connection to whom under the cluster's NetworkPolicies.

    A stated plugin that enforces none is named; the table says what the policies ask for.
    """
    from netsim import inspect

    scenario = _load(cluster, set_, plugin=plugin, proxy=proxy, costs=costs)
    table = inspect.policy(scenario, port, from_=from_, to=to)
    if inspect.unenforced(scenario):
        typer.echo(
            f"warning: {scenario.network.plugin} enforces no NetworkPolicy: there every connection is let through",
            err=True,
        )
    document: dict[str, Any] = table.to_dict()
    if output is Format.JSON:
        print_json(document)
        return
    allowed = document["allowed"]
    rows = []
    for source, targets in allowed.items():
        denied = [target for target, may in targets.items() if not may]
        reached = len(targets) - len(denied)
        rows.append([source, f"{reached} of {len(targets)}", ", ".join(denied[:6]) + (" …" if len(denied) > 6 else "")])
    print_table(f"connections to {document['port']}", ["from", "may reach", "may not reach"], rows)


@app.command()
def rules(
    cluster: ClusterPath,
    proxy: ProxyOption = None,
    node: Annotated[list[str] | None, typer.Option("--node", help="only these nodes; default: all")] = None,
    added: Annotated[
        bool, typer.Option("--added", help="count also the cluster DNS that netsim adds where the input has none")
    ] = False,
    plugin: PluginOption = None,
    costs: CostsOption = None,
    set_: SetOption = None,
    output: FormatOption = Format.TEXT,
) -> None:
    """Print what the service proxy programs on each node, and what a first packet to each Service meets."""
    from netsim import inspect

    scenario = _load(cluster, set_, plugin=plugin, proxy=proxy, costs=costs)
    report = inspect.rules(scenario, nodes=node, added=added)
    document: dict[str, Any] = report.to_dict()
    if output is Format.JSON:
        print_json(document)
        return
    names = sorted({key for counts in document["nodes"].values() for key in counts if isinstance(counts[key], int)})
    print_table(
        f"{document['mode']}: programmed on each node",
        ["node", *names],
        [[name, *(str(counts.get(key, 0)) for key in names)] for name, counts in document["nodes"].items()],
    )
    print_table(
        "rules a first packet is compared with",
        ["service", "nat mean", "nat worst", "filter mean", "filter worst"],
        [[entry["service"], *(f"{entry['first_packet'][key]:g}" for key in _WALKS)] for entry in document["services"]],
    )
    for service in report.left_out:
        typer.echo(f"not counted: {service}, which the input lacks and a run adds (--added counts it)")


_WALKS = ("nat_mean", "nat_worst", "filter_mean", "filter_worst")


@app.command()
def cni(
    configuration: Annotated[
        str, typer.Argument(help="CNI file, directory, manifest with a network's ConfigMap, or kubenet")
    ],
    cluster: Annotated[
        Path | None, typer.Option("--cluster", help="scenario, manifests or dump with the nodes and pods")
    ] = None,
    pod: Annotated[str | None, typer.Option("--pod", help="namespace/name of a pod of the cluster")] = None,
    node: Annotated[str | None, typer.Option("--node", help="node of the cluster; default: the pod's, or any")] = None,
    node_mtu: Annotated[int, typer.Option("--node-mtu", min=68, max=65535, help="where no cluster says")] = 1500,
    output: FormatOption = Format.TEXT,
) -> None:
    """Print what a CNI configuration amounts to: plugins in order, addresses, MTU, and the hops of packets."""
    from netsim import inspect

    asked = _load(cluster, None) if cluster is not None else None
    document = inspect.cni(configuration, asked, pod=pod, node=node, node_mtu_bytes=node_mtu).to_dict()
    if output is Format.JSON:
        print_json(document)
        return
    typer.echo(f"{document['name']} (CNI {document['version'] or 'without version'}): {', '.join(document['plugins'])}")
    for label, text in _cni_rows(document):
        typer.echo(f"{label:<26}{text}")
    for note in document["notes"]:
        typer.echo(f"note: {note}")


def _cni_rows(document: dict[str, Any]) -> Iterator[tuple[str, str]]:
    network, profile, pod = document["network"], document["profile"], document["pod"]
    yield "attachment", " ".join(part for part in (network["attachment"], network["bridge"]) if part)
    yield "pod MTU", f"{network['pod_mtu_bytes'] or 'not stated'} of the node's {document['node']['mtu_bytes']} bytes"
    yield "between nodes", network["encapsulation"] or "not stated"
    if network["ranges"]:
        room = f" ({network['pods_per_node']} pods)"
        yield "addresses", f"{network['ipam']}: {', '.join(network['ranges'])}{room}"
    else:
        yield "addresses", network["ipam"] or "not stated"
    for way in ("ingress", "egress"):
        if network[way]:
            yield f"{way} limit", f"{network[way]['rate_bps']:,} bit/s, burst {network[way]['burst_bytes']:,} bytes"
    if profile["name"] is None:
        yield "profile", profile["reason"]
        return
    yield "profile", f"as {profile['base']}, Services by {profile['proxy']}"
    yield "policies", profile["policy"]
    yield "masquerade", profile["masquerade"]
    yield "bandwidth annotations", profile["bandwidth"]
    for way, title in (("egress", "out of a pod"), ("ingress", "into a pod"), ("local", "between pods of the node")):
        yield title, " > ".join(profile["hops"][way])
    if pod is not None:
        yield "pod", f"{pod['pod']} {', '.join(pod['addresses'])} on {document['node']['name']}"
        for way in ("ingress_bps", "egress_bps"):
            if pod.get(way):
                yield way, f"{pod[way]:,} bit/s"
        if pod.get("host_ports"):
            yield "host ports", ", ".join(map(str, pod["host_ports"]))


@app.command()
def limits(
    scenario: ScenarioPath,
    plugin: PluginOption = None,
    proxy: ProxyOption = None,
    costs: CostsOption = None,
    set_: SetOption = None,
    output: FormatOption = Format.TEXT,
) -> None:
    """Print each known limit with current use and the size that reaches it; exit 1 when one is exceeded."""
    from netsim import inspect

    report = inspect.limits(_load(scenario, set_, plugin=plugin, proxy=proxy, costs=costs))
    if output is Format.JSON:
        print_json(report.to_dict())
    else:
        for reason in report.impossible:
            typer.echo(f"cannot exist: {reason}")
        print_table(
            "limits",
            ["limit", "scope", "used", "of", "unit", "reached at nodes", "what happens then"],
            [
                [u.name, u.scope, _number(u.used), _number(u.limit), u.unit, _number(u.reached_at), u.then]
                for u in report.uses
            ],
        )
    if report.exceeded:
        raise typer.Exit(1)


@app.command()
def costs(
    profile: Annotated[str, typer.Argument(help="cost profile, shipped or a file")] = "server",
    without: Annotated[
        list[str] | None, typer.Option("--without", help="source that may not be used", metavar="SOURCE")
    ] = None,
    figure: Annotated[str, typer.Option("--figure", help="only figures with this in their name")] = "",
    output: FormatOption = Format.TEXT,
) -> None:
    """Print a cost profile: every figure with value, range, source, arithmetic and what moves it between machines."""
    from netsim import inspect

    report = inspect.costs(profile, without=without or (), figure=figure)
    if output is Format.JSON:
        print_json(report.to_dict())
        return
    print_table(
        f"{report.profile.title}: valid for {report.profile.valid_for}",
        ["figure", "value", "low", "high", "unit", "scales with", "source", "arithmetic", "meaning"],
        [
            [line.figure, *(f"{value:g}" for value in (line.used.value, line.used.low, line.used.high)), line.unit,
             line.moved_by, line.used.source, line.used.arithmetic, line.meaning]
            for line in report.lines
        ],
    )  # fmt: skip
    for name, citation in report.sources.items():
        typer.echo(f"{name}: {citation}")


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:,.4g}" if value != int(value) else f"{int(value):,}"
