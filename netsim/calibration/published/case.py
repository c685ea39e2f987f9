"""A published table as data: the hardware it states, its rows, and which rows may be used for calibration.

A case is a folder with ``published.csv`` and, beside it, ``case.yaml``. The form is described in
``docs/validation-cases.md``.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from importlib import resources
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from netsim.calibration.published.hardware import Hardware, described
from netsim.calibration.published.lines import with_line
from netsim.calibration.published.quantities import Quantity, quantity
from netsim.calibration.published.setting import Setting
from netsim.errors import InputError, Place

Role = Literal["baseline", "target", "range", "excluded"]
ROLES: tuple[Role, ...] = ("baseline", "target", "range", "excluded")
_MEANT: Mapping[str, Role] = {"calibration": "baseline", "test": "target", "exclude": "excluded"}
"""Other words for roles."""
_TOLD = {
    "cpu": re.compile(r"\b(\d+m) CPU"),
    "cache": re.compile(r"\bcache (off|hit|miss)\b"),
    "tool": re.compile(r"\b(fortio|sockperf|qperf)\b", re.IGNORECASE),
}
"""Keys of a row that an environment may state instead: a pod's CPU limit, a DNS server's cache, tools that matter."""
_SPELLINGS = {"configuration": ("configuration", "config"), "note": ("note", "notes"), "reason": ("reason",)}


@dataclass(frozen=True, slots=True)
class Row:
    """One published figure.

    ``role`` is ``baseline`` (may calibrate), ``target`` (predicted and scored), ``range`` (predicted, but a fact the
    publication does not give decides it) or ``excluded`` (not predicted); the last two need a ``reason``.
    """

    id: str
    metric: str
    setting: Setting
    quantity: Quantity
    role: Role
    note: str = ""
    reason: str = ""
    line: int = 0


class _Document(BaseModel):
    """``case.yaml``."""

    model_config = ConfigDict(extra="forbid")

    title: str = ""
    source: str | list[str] = Field(default_factory=list)
    url: str = ""
    profile: str = ""
    hardware: Hardware = Field(default_factory=Hardware)
    machines: dict[str, Hardware] = Field(default_factory=dict)
    defaults: dict[str, str | int | float | bool] = Field(default_factory=dict)
    names: dict[str, dict[str, str]] = Field(default_factory=dict)
    noise: float = Field(default=0.02, ge=0, lt=1)
    missing: list[str] = Field(default_factory=list)
    findings: list[str] = Field(default_factory=list)


@dataclass(frozen=True)
class Case:
    """A published table.

    Attributes
    ----------
    name: the folder's name.
    sources: names under which cost profiles list figures of this publication; none of them is used to predict it.
    profile: cost profile; empty takes the one that suits the hardware.
    hardware, machines: the testbed; a row chooses one of ``machines`` with the key ``machine``.
    names: what the publication's names of plugins stand for, where the general rules do not know them.
    noise: how far two figures must differ (as a fraction) before their order means something.
    missing: facts the publication does not give and that would matter.
    findings: what its misses say about the model.
    """

    name: str
    title: str
    sources: tuple[str, ...]
    url: str
    profile: str
    hardware: Hardware
    rows: tuple[Row, ...]
    machines: Mapping[str, Hardware] = field(default_factory=dict)
    names: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    noise: float = 0.02
    missing: tuple[str, ...] = ()
    findings: tuple[str, ...] = ()

    def machine(self, setting: Setting) -> Hardware:
        """Return the hardware a row was measured on."""
        name = setting.text("machine")
        return self.machines[name] if name else self.hardware


def shipped_cases() -> tuple[str, ...]:
    """Return the names of the cases that ship with netsim."""
    folder = resources.files("netsim") / "data" / "published"
    return tuple(sorted(item.name for item in folder.iterdir() if (item / "published.csv").is_file()))


def load_case(name_or_folder: str) -> Case:
    """Read a shipped case by name, or any folder of the same form.

    Raises
    ------
    InputError
        When there is no such case, or a file of it is wrong.
    """
    if name_or_folder in shipped_cases():
        with resources.as_file(resources.files("netsim") / "data" / "published" / name_or_folder) as folder:
            return _read(folder, name_or_folder)
    folder = Path(name_or_folder)
    if not (folder / "published.csv").is_file():
        raise InputError(
            "no such case", got=name_or_folder, allowed=f"{', '.join(shipped_cases())}, or a folder with published.csv"
        )
    return _read(folder, folder.resolve().name)


def _read(folder: Path, name: str) -> Case:
    document = _document(folder / "case.yaml")
    defaults = {key: _plain(value) for key, value in document.defaults.items()}
    rows, environments = _rows(folder / "published.csv", defaults)
    hardware = document.hardware
    machines: Mapping[str, Hardware] = document.machines
    if not {"hardware", "machines"} & document.model_fields_set and any(environments):
        rows, hardware, machines = _surroundings(rows, environments)
    for row in rows:
        wanted = row.setting.text("machine")
        if wanted and wanted not in machines:
            place = Place(str(folder / "published.csv"), row.line, "machine")
            raise InputError("no such machine", place=place, got=wanted, allowed=", ".join(machines) or "none")
    return Case(
        name=name,
        title=document.title or name,
        sources=(document.source,) if isinstance(document.source, str) else tuple(document.source),
        url=document.url,
        profile=document.profile,
        hardware=with_line(hardware, rows),
        rows=rows,
        machines={name: with_line(each, rows, name) for name, each in machines.items()},
        names=document.names,
        noise=document.noise,
        missing=tuple(document.missing),
        findings=tuple(document.findings),
    )


def _plain(value: str | int | float | bool) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _document(path: Path) -> _Document:
    if not path.is_file():
        return _Document()
    try:
        content: Any = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        raise InputError("not valid YAML", place=Place(str(path), mark.line + 1 if mark else None)) from error
    try:
        return _Document.model_validate(content)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise InputError(first["msg"], place=Place(str(path), field=where), got=str(first.get("input"))) from error


def _surroundings(
    rows: tuple[Row, ...], environments: tuple[str, ...]
) -> tuple[tuple[Row, ...], Hardware, Mapping[str, Hardware]]:
    """Make a testbed of each environment the rows describe; rows that describe none belong to the first.

    Only rows of one testbed calibrate each other.
    """
    first, *others = dict.fromkeys(filter(None, environments))
    names = {text: f"environment-{number}" for number, text in enumerate(others, start=2)}

    def keys(row: Row, text: str) -> dict[str, str]:
        told = {key: match[1].lower() for key, pattern in _TOLD.items() if (match := pattern.search(text))}
        machine = {"machine": names[text]} if text in names else {}
        return {**machine, **{key: value for key, value in told.items() if key not in row.setting}}

    placed = tuple(
        replace(row, setting=row.setting.but(**keys(row, text))) for row, text in zip(rows, environments, strict=True)
    )
    return placed, described(first), {name: described(text) for text, name in names.items()}


def _rows(path: Path, defaults: Mapping[str, str]) -> tuple[tuple[Row, ...], tuple[str, ...]]:
    """Read the table; the second value is the environment each row describes, empty without such a column."""
    with path.open(encoding="utf-8-sig", newline="") as stream:
        reader = csv.DictReader(stream)
        reader.fieldnames = [name.strip().lower() for name in reader.fieldnames or ()]
        _check_header(path, reader.fieldnames)
        records = [(reader.line_num, record) for record in reader]
    rows = tuple(_row(path, line, record, defaults) for line, record in records)
    repeated = _repeated(rows)
    if repeated is not None:
        raise InputError("the id is used twice", place=Place(str(path), repeated.line, "id"), got=repeated.id)
    if not rows:
        raise InputError("the table has no rows", place=Place(str(path)))
    return rows, tuple((record.get("environment") or "").strip() for _, record in records)


def _check_header(path: Path, header: Any) -> None:
    names = [str(name) for name in header or ()]
    missing = [column for column in ("id", "metric", "value", "unit") if column not in names]
    if not any(name in _SPELLINGS["configuration"] for name in names):
        missing.append("configuration")
    if missing:
        raise InputError("a column is missing", place=Place(str(path), 1), got=f"{', '.join(names)}; no {missing[0]}",
                         allowed="id, metric, configuration, value, unit, role")  # fmt: skip


def _repeated(rows: tuple[Row, ...]) -> Row | None:
    seen: set[str] = set()
    for row in rows:
        if row.id in seen:
            return row
        seen.add(row.id)
    return None


def _cell(record: Mapping[str, Any], column: str) -> str:
    return next((str(record[name]).strip() for name in _SPELLINGS[column] if record.get(name)), "")


def _row(path: Path, line: int, record: Mapping[str, Any], defaults: Mapping[str, str]) -> Row:
    place = Place(str(path), line)
    note = _cell(record, "note")
    role = (record.get("role") or "").strip().lower()
    reason = _cell(record, "reason")
    if "(" in role:
        role, _, rest = role.partition("(")
        role, reason = role.strip(), reason or rest.rstrip(") ")
    if not role:
        role = "baseline" if "baseline row" in note.lower() else "target"
    role = _MEANT.get(role, role)
    chosen: Role | None = next((item for item in ROLES if item == role), None)
    if chosen is None:
        raise InputError("no such role", place=Place(str(path), line, "role"), got=role, allowed=", ".join(ROLES))
    if chosen in ("range", "excluded") and not reason:
        raise InputError(f"a row that is {chosen} needs a reason", place=Place(str(path), line, "reason"))
    try:
        setting = Setting.read(_cell(record, "configuration"), defaults)
    except InputError as error:
        raise error.at(place) from None
    named, metric = str(record["id"]).strip(), (record["metric"] or "").strip()
    try:
        measured = quantity(_number(record["value"]), record["unit"] or "")
    except InputError as error:
        # a formula, two numbers, a unit of its own: shown with its reason, and the rest of the table judged
        known = quantity(0.0, "ratio")
        return Row(named, metric, Setting({}), known, "excluded", note, reason or str(error), line)
    return Row(named, metric, setting, measured, chosen, note, reason, line)


def _number(text: str | None) -> float:
    """Return a number, perhaps with commas between thousands. Raises `InputError`."""
    plain = re.sub(r"(?<=\d),(?=\d{3}(?!\d))", "", (text or "").strip().lstrip("~"))
    try:
        return float(plain)
    except ValueError:
        raise InputError("the value is not a number", place=Place(field="value"), got=text) from None


def baselines(case: Case) -> Iterator[Row]:
    """Yield the rows that may calibrate."""
    yield from (row for row in case.rows if row.role == "baseline")
