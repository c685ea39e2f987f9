"""The gate on a repository of manifests: a harmless refactor passes, a regression fails with its reason named."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from netsim.cli import compare

APP = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: NAME, namespace: shop}
spec:
  replicas: REPLICAS
  selector: {matchLabels: {app: NAME}}
  template:
    metadata: {labels: {app: NAME}}
    spec:
      dnsConfig: {options: [{name: ndots, value: "NDOTS"}]}
      containers: [{name: main, image: main, env: [{name: UPSTREAM, value: "CALLS"}]}]
"""
SERVICE = """
apiVersion: v1
kind: Service
metadata: {name: NAME, namespace: shop}
spec: {selector: {app: TARGET}, ports: [{port: 80}]}
"""
SCENARIO = """
name: shop
cluster: {manifests: k8s}
network: {plugin: flannel-vxlan, proxy: iptables}
run: {replications: 5, transactions: 300}
"""


def app(name: str, replicas: int, calls: str = "", ndots: int = 5) -> str:
    text = APP.replace("NAME", name).replace("REPLICAS", str(replicas))
    return text.replace("CALLS", calls).replace("NDOTS", str(ndots))


def service(name: str, target: str) -> str:
    return SERVICE.replace("NAME", name).replace("TARGET", target)


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    (tmp_path / "k8s").mkdir()
    (tmp_path / "s.yaml").write_text(SCENARIO)
    write(tmp_path, app("web", 4, "cart.shop.svc.cluster.local:80"), app("cart", 3), service("cart", "cart"))
    git(tmp_path, "init")
    commit(tmp_path)
    return tmp_path


def write(repository: Path, *documents: str) -> None:
    (repository / "k8s" / "app.yaml").write_text("---".join(documents))


def git(repository: Path, *arguments: str) -> None:
    identity = ["-c", "user.name=t", "-c", "user.email=t@example.org", "-c", "init.defaultBranch=main"]
    subprocess.run(["git", "-C", str(repository), *identity, *arguments], check=True, capture_output=True)


def commit(repository: Path) -> None:
    git(repository, "add", ".")
    git(repository, "commit", "-m", "state")


def gate(repository: Path) -> tuple[int, str]:
    made = typer.Typer()
    made.command()(compare.command)
    arguments = ["--git", "HEAD~1..HEAD", str(repository / "k8s"), str(repository / "s.yaml"), "--workers", "1"]
    result = CliRunner().invoke(made, arguments)
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.exit_code, result.stdout


def test_a_refactor_that_reorders_and_renames_passes(repository: Path) -> None:
    write(
        repository, service("basket", "basket"), app("basket", 3), app("front", 4, "basket.shop.svc.cluster.local:80")
    )  # fmt: skip
    commit(repository)
    code, text = gate(repository)
    assert "renamed" in text
    assert code == 0, text


def test_two_thousand_services_fail_with_the_hop_named(repository: Path) -> None:
    with (repository / "s.yaml").open("a") as scenario:
        scenario.write("traffic: [{from: shop/web, to: shop/cart, rate: 10/s}]\n")  # nobody calls the new ones
    (repository / "k8s" / "more.yaml").write_text("---".join(service(f"s{i}", "cart") for i in range(2000)))
    commit(repository)
    code, text = gate(repository)
    assert code == 1, text
    assert "input more.yaml: added" in text
    sentence = next(line for line in text.splitlines() if line.startswith("latency mean:"))
    connect = sentence.partition("connect +")[2].partition(")")[0]
    assert "service_nat +" in connect
    assert "more rules" in connect
    assert unexplained(sentence) <= 0.10


def test_asking_for_the_bare_name_first_fails_with_dns_named(repository: Path) -> None:
    write(
        repository, app("web", 4, "cart:80", ndots=0), app("cart", 3), service("cart", "cart")
    )  # fmt: skip
    commit(repository)
    code, text = gate(repository)
    assert code == 1, text
    sentence = next(line for line in text.splitlines() if line.startswith("latency mean:"))
    assert sentence.split(": ", 2)[2].startswith("dns +"), sentence
    assert unexplained(sentence) <= 0.10


def unexplained(sentence: str) -> float:
    return float(sentence.rpartition("(")[2].rstrip("%)")) / 100
