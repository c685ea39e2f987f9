"""The report: one file that opens offline, with the question, the answer and why."""

from __future__ import annotations

import re
import shutil
import subprocess
from html.parser import HTMLParser
from pathlib import Path

import pytest

import netsim
from netsim.report import Result, render_html, render_markdown
from netsim.report.notes import LEFT_OUT, gathered
from netsim.scenario import build
from netsim.study.reopen import open_study

ROOT = Path(__file__).parents[2]
DOCUMENT = {
    "name": "growth",
    "question": "What does <size> do to this & that?",
    "cluster": {
        "synthetic": {"nodes": 2, "pods_per_node": 4, "services": 3, "namespaces": 1},
        "provider": "azure",
    },
    "traffic": [{"from": "all", "to": "service-1", "rate": "50/s", "work": "20us"}],
    "run": {"replications": 2, "transactions": 100},
    "sweep": {
        "network.plugin": ["kubenet", "cilium-vxlan"],
        "network.proxy": ["iptables", "ebpf"],
        "cluster.nodes": [2, 6, 500],
    },
    "slo": ["p99<5ms", "p50<1us"],
}


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Result:
    changed = {**DOCUMENT, "sweep": {**DOCUMENT["sweep"], "cluster.nodes": [2, 6]}}  # type: ignore[dict-item]
    return netsim.sweep(build(changed), out=tmp_path_factory.mktemp("study") / "results")


class Page(HTMLParser):
    """What a browser would load, and the text it would show."""

    def __init__(self) -> None:
        super().__init__()
        self.resources: list[str] = []
        self.tags: list[str] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        for name, value in attrs:
            if name in ("src", "href", "xlink:href", "data", "poster", "srcset") and value:
                self.resources.append(value)

    def handle_data(self, data: str) -> None:
        self.text += data


@pytest.fixture(scope="module")
def page(study: Result) -> Page:
    read = Page()
    read.feed(render_html(study))
    return read


def test_the_page_loads_nothing(study: Result, page: Page) -> None:
    assert all(resource.startswith("#") for resource in page.resources), page.resources
    assert "script" not in page.tags
    assert "link" not in page.tags
    text = render_html(study)
    assert "@import" not in text
    assert re.findall(r"url\((?!#)[^)]*\)", text) == []


def test_the_page_says_what_a_planner_asks(study: Result, page: Page) -> None:
    assert DOCUMENT["question"] in page.text
    for line in study.answer:
        assert line in page.text
    for heading in (
        "Latency and throughput", "Objectives", "Time per hop", "Parts of the time", "Busiest stations",
        "What cannot exist, and why", "Sample and assumptions", "What the model leaves out", "What produced this",
    ):  # fmt: skip
        assert heading in page.text
    assert "eBPF services are part of Cilium or of Calico's eBPF data plane" in page.text
    assert "kubenet · ebpf (all sizes)" in page.text
    for item in LEFT_OUT:
        assert item in page.text
    assert page.tags.count("figure") >= 5
    assert "missed" in page.text
    assert "nan" not in page.text.lower().replace("nanosecond", "").split()


def test_both_forms_show_the_same_figures(study: Result, page: Page) -> None:
    markdown = render_markdown(study)
    table = markdown.split("## Latency and throughput")[1].split("\n## ")[0]
    cells = [
        cell.strip() for line in table.splitlines() if line.startswith("| ") for cell in line.strip("|").split("|")
    ]
    assert len(cells) > 40
    for cell in cells:
        assert cell in page.text
    assert markdown.startswith("# growth\n\n> What does <size> do to this & that?\n")


def test_the_same_result_gives_the_same_bytes(study: Result) -> None:
    assert render_html(study) == render_html(study)
    assert study.folder is not None
    again = open_study(study.folder)
    assert render_markdown(again) == render_markdown(study)
    assert render_html(again) == render_html(study)


def test_a_single_point_and_nothing_at_all() -> None:
    one = netsim.run(build({**DOCUMENT, "network": {"plugin": "kubenet"}}))
    assert "Most work: " in " ".join(one.answer)
    assert render_html(one).count("<figure>") == 3
    none = netsim.run(build({**DOCUMENT, "network": {"plugin": "kubenet", "proxy": "ebpf"}}))
    assert none.answer == (f"Cannot exist: {none.impossible[0]}.",)
    assert "Cannot exist" in render_html(none)
    assert "nothing to show" in render_markdown(none)


def test_charts_are_there_for_notebooks(study: Result) -> None:
    for drawn in (study.plot_latency("p50"), study.plot_throughput(), study.plot_hops()):
        assert drawn._repr_png_().startswith(b"\x89PNG")
    assert "growth" in study._repr_html_()
    with pytest.raises(KeyError):
        study.plot_latency("p99", metric="taste")


def test_notes_that_are_alike_are_told_once() -> None:
    notes = [
        "a->b: 3 of 40 transactions were unfinished (network.plugin=kubenet cluster.nodes=10 replication 0)",
        "c->d: 5 of 41 transactions were unfinished (network.plugin=kubenet cluster.nodes=20 replication 1)",
        "no cluster DNS in the input",
    ]
    assert gathered(notes) == [
        "a->b: 3 of 40 transactions were unfinished (first at kubenet 10, replication 0); 1 more notes are alike",
        "no cluster DNS in the input",
    ]


@pytest.mark.slow
def test_a_browser_shows_it_without_complaint(study: Result, tmp_path: Path) -> None:
    browser = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if browser is None:
        pytest.skip("no Chromium here")
    page = tmp_path / "report.html"
    page.write_text(render_html(study), encoding="utf-8")
    shot = tmp_path / "report.png"
    done = subprocess.run(
        [
            browser, "--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking",
            "--disable-component-update", "--disable-sync", "--no-first-run", "--enable-logging=stderr",
            f"--user-data-dir={tmp_path / 'profile'}", "--window-size=1240,2400", f"--screenshot={shot}", page.as_uri(),
        ],
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert shot.is_file(), done.stderr[-500:]
    assert shot.stat().st_size > 50_000, "an empty page is smaller"
    assert "CONSOLE" not in done.stderr


def test_a_sweep_without_lookups_that_grows_is_reported() -> None:
    """A phase that no transaction has is left out of the reasons, not missed."""
    document = {
        "name": "walks", "cluster": {"synthetic": {"nodes": 2, "pods_per_node": 2, "services": 2}},
        "network": {"plugin": "flannel-vxlan"}, "dns": {"lookups": "none"},
        "traffic": [{"from": "all", "to": "service-1", "rate": "50/s"}],
        "run": {"replications": 2, "transactions": 40},
        "sweep": {"network.proxy": ["iptables", "ipvs"], "cluster.synthetic.services": [2, 2000]},
    }  # fmt: skip
    page = render_markdown(netsim.sweep(build(document)))
    assert "opening the connection" in page or "connect" in page


def test_the_nearest_limits_stand_in_a_report_of_one_configuration() -> None:
    document = {
        "name": "near", "cluster": {"synthetic": {"nodes": 2, "pods_per_node": 2, "services": 2}},
        "network": {"plugin": "flannel-vxlan", "conntrack_max": 4096}, "dns": {"lookups": "none"},
        "traffic": [{"from": "all", "to": "service-1", "rate": "5/s"}],
        "run": {"replications": 2, "transactions": 40},
    }  # fmt: skip
    page = render_markdown(netsim.run(build(document)))
    section = page.partition("## Nearest limits")[2].partition("\n## ")[0]
    rows = [line for line in section.splitlines() if line.startswith("| ")]
    assert rows[1].startswith("| conntrack entries | node | 3,000 | 4,096 entries | 73% | not by size |"), section


def test_several_configurations_have_no_table_of_limits(study: Result) -> None:
    assert "Nearest limits" not in render_markdown(study)
