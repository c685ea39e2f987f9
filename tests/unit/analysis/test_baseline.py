from __future__ import annotations

import json
from pathlib import Path

import pytest
from sides import NAN, band, key, recorded, side

from netsim.analysis.baseline import read_baseline, source_of, write_baseline
from netsim.analysis.compare import compare
from netsim.errors import InputError
from netsim.study.outcome import PartKey

FIGURES = {
    key(levels=(("cluster.nodes", "10"),)): recorded(2e-3, 2.1e-3, errors=1e-5),
    key(levels=(("cluster.nodes", "2"),)): recorded(1e-3, 1.1e-3),
    key(stat="p99"): recorded(3e-3, 3.1e-3, value=NAN),
    key("utilization", scope="station", name="core-1"): recorded(0.5, unit="1"),
    key("rules", scope="hop", name="service_nat"): recorded(12.0, 12.0, unit="1"),
}
PARTS = {band(): {PartKey("dns", "wait", "CoreDNS workers"): 2e-6, PartKey("dns", "work", "a/b"): 1e-6}}


def written(tmp_path: Path) -> Path:
    path = tmp_path / "results" / "baseline" / "shop.json"
    write_baseline(side(FIGURES, parts=PARTS, reasons={(("cluster.nodes", "500"),): "limit"}), path)
    return path


def test_round_trip(tmp_path: Path) -> None:
    read = read_baseline(written(tmp_path))
    kept = {figure: FIGURES[figure] for figure in FIGURES if figure.scope != "station"}
    assert {figure: repr(values) for figure, values in read.figures.items()} == {
        figure: repr(values) for figure, values in kept.items()
    }
    assert read.parts == PARTS
    assert read.reasons == {(("cluster.nodes", "500"),): "limit"}
    assert compare(side(FIGURES), read).ok


def test_the_file_is_sorted_stable_and_has_a_line_a_figure(tmp_path: Path) -> None:
    text = written(tmp_path).read_text()
    backwards = side(dict(reversed(FIGURES.items())), parts=PARTS, reasons={(("cluster.nodes", "500"),): "limit"})
    other = tmp_path / "other.json"
    write_baseline(backwards, other)
    assert other.read_text() == text
    lines = [line for line in text.splitlines() if '"metric"' in line]
    assert len(lines) == 4
    assert '"2"' in lines[2]
    assert '"10"' in lines[3]
    json.loads(text)


def test_the_source_is_relative_to_the_file(tmp_path: Path) -> None:
    scenario = tmp_path / "scenarios" / "shop.yaml"
    scenario.parent.mkdir()
    scenario.write_text("cluster: {synthetic: {}}\n")
    path = tmp_path / "results" / "baseline" / "shop.json"
    write_baseline(side(FIGURES), path, source=scenario)
    assert '"source": "../../scenarios/shop.yaml"' in path.read_text()
    assert source_of(path).samefile(scenario)
    scenario.unlink()
    with pytest.raises(InputError, match="does not exist"):
        source_of(path)


def test_truncated_anywhere_is_an_input_error(tmp_path: Path) -> None:
    path = written(tmp_path)
    text = path.read_text()
    for cut in range(0, len(text) - 2, 7):
        path.write_text(text[:cut])
        with pytest.raises(InputError):
            read_baseline(path)


@pytest.mark.parametrize(
    "change",
    [
        {"netsim_baseline": 1}, {"netsim_baseline": 3}, {"figures": None}, {"figures": [{}]}, {"seed": "x"},
        {"scenario": 1}, {"figures": 3}, {"parts": [{"levels": {}}]}, {"reasons": {"a": 1}}, {"versions": None},
    ],
)  # fmt: skip
def test_broken_or_of_another_layout(tmp_path: Path, change: dict[str, object]) -> None:
    path = written(tmp_path)
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
    with pytest.raises(InputError):
        read_baseline(path)


def test_a_missing_key_a_wrong_number_and_a_foreign_file(tmp_path: Path) -> None:
    path = written(tmp_path)
    document = json.loads(path.read_text())
    for name in document:
        path.write_text(json.dumps({key: value for key, value in document.items() if key != name}))
        if name == "source":
            read_baseline(path)
            continue
        with pytest.raises(InputError):
            read_baseline(path)
    document["figures"][0]["values"] = ["1.0", 2.0]
    path.write_text(json.dumps(document))
    with pytest.raises(InputError, match="not a number"):
        read_baseline(path)
    path.write_text("[1, 2]")
    with pytest.raises(InputError, match="not a baseline"):
        read_baseline(path)
    with pytest.raises(InputError, match="no such baseline"):
        read_baseline(tmp_path / "nothing.json")
