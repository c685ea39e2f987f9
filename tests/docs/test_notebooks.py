"""The notebooks run from the first cell to the last, and are the scripts they are paired with."""

from __future__ import annotations

from pathlib import Path

import pytest

nbclient = pytest.importorskip("nbclient")
nbformat = pytest.importorskip("nbformat")
jupytext = pytest.importorskip("jupytext")

NOTEBOOKS = Path(__file__).parents[2] / "notebooks"
NAMES = sorted(path.stem for path in NOTEBOOKS.glob("*.ipynb"))


def test_there_is_a_first_run() -> None:
    assert "01_first_run" in NAMES


@pytest.mark.parametrize("name", NAMES)
def test_notebook_and_script_are_paired(name: str) -> None:
    script = jupytext.read(NOTEBOOKS / f"{name}.py")
    notebook = nbformat.read(NOTEBOOKS / f"{name}.ipynb", as_version=4)
    assert [cell.source for cell in notebook.cells] == [cell.source for cell in script.cells]
    assert all(not cell.get("outputs") for cell in notebook.cells), "committed without outputs"


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_notebook_runs_and_shows_rich_results(name: str) -> None:
    notebook = nbformat.read(NOTEBOOKS / f"{name}.ipynb", as_version=4)
    nbclient.NotebookClient(notebook, timeout=300, resources={"metadata": {"path": str(NOTEBOOKS)}}).execute()
    shown = [set(output.data) for cell in notebook.cells for output in cell.get("outputs", []) if "data" in output]
    assert sum("text/html" in kinds for kinds in shown) >= 3
    assert sum("image/png" in kinds for kinds in shown) >= 3
