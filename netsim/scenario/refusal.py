"""From what pydantic says about a document to one `InputError` in the user's words."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ValidationError

from netsim.errors import InputError

if TYPE_CHECKING:
    from netsim.scenario.origin import Origin

_WORDS: Mapping[str, tuple[str, str]] = {
    "greater_than_equal": ("too small", "{ge} or more"),
    "greater_than": ("too small", "more than {gt}"),
    "less_than_equal": ("too large", "{le} or less"),
    "less_than": ("too large", "less than {lt}"),
    "literal_error": ("not one of the choices", "{expected}"),
    "finite_number": ("not a number", "a number"),
    "float_type": ("not a number", "a number"),
    "float_parsing": ("not a number", "a number"),
    "int_type": ("not a whole number", "a whole number"),
    "int_parsing": ("not a whole number", "a whole number"),
    "int_parsing_size": ("not a whole number", "a whole number"),
    "int_from_float": ("not a whole number", "a whole number"),
    "bool_type": ("not a truth value", "true or false"),
    "bool_parsing": ("not a truth value", "true or false"),
    "string_type": ("not a text", "a text"),
    "tuple_type": ("not a list", "a list"),
    "list_type": ("not a list", "a list"),
}
"""Message and what is allowed, by pydantic's kind of error; other kinds keep pydantic's words."""
_TAG_ERRORS = ("union_tag_not_found", "union_tag_invalid")
_MAPPING_ERRORS = ("model_type", "model_attributes_type", "dict_type", "mapping_type")


def first_error(
    error: ValidationError, document: Mapping[str, Any], origin: Origin, model: type[BaseModel]
) -> InputError:
    """Return the first error, placed. Branches of a union fail together: what each would have taken is joined.

    Parameters
    ----------
    error: what pydantic found. document: what it read. origin: where that was written. model: what it should fit.
    """
    found = [(_document_path(each["loc"], document), each) for each in error.errors()]
    path, first = found[0]
    message, _ = _words(first, model)
    allowed = dict.fromkeys(_words(each, model)[1] for other, each in found if other == path)
    got = None if first["type"] == "missing" else short(first["input"])
    return InputError(
        message, place=origin.place(path), got=got, allowed=" or ".join(text for text in allowed if text) or None
    )


def _words(error: Mapping[str, Any], model: type[BaseModel]) -> tuple[str, str]:
    kind, location = error["type"], error["loc"]
    if kind == "extra_forbidden":
        return "unknown key", known_keys(model, location)
    if kind == "missing":
        return f"{location[-1]} is missing", ""
    if kind in _TAG_ERRORS:
        tag = error["ctx"]["discriminator"].strip("'")
        message = f"{tag} is missing" if kind == "union_tag_not_found" else f"no such {tag}"
        return message, f"{tag}: {', '.join(_tags(model, location))}"
    if kind in _MAPPING_ERRORS:
        return "not a mapping", known_keys(model, (*location, "")) or "a mapping"
    if kind == "value_error":
        message, _, allowed = error["msg"].removeprefix("Value error, ").partition("|")
        return message, allowed
    message, allowed = _WORDS.get(kind, (error["msg"], ""))
    return message, allowed.format(**error.get("ctx", {})).replace("'", "")


def _document_path(location: Sequence[str | int], document: Any) -> tuple[str | int, ...]:
    """Drop the union tags pydantic puts between the keys of the document."""
    path: list[str | int] = []
    here = document
    for position, part in enumerate(location):
        inside = (isinstance(here, dict) and part in here) or (isinstance(here, list | tuple) and isinstance(part, int))
        if inside:
            path.append(part)
            here = here[part]
        elif position == len(location) - 1 and isinstance(here, dict):
            path.append(part)
    return tuple(path)


def known_keys(model: type[BaseModel], location: Sequence[str | int]) -> str:
    """List the keys the model around this place knows."""
    schema: Any = model.model_json_schema()
    return ", ".join(sorted(_at(schema, location[:-1]).get("properties", {})))


def _tags(model: type[BaseModel], location: Sequence[str | int]) -> list[str]:
    """List the tags of the union at this place."""
    return sorted(_at(model.model_json_schema(), location).get("discriminator", {}).get("mapping", {}))


def _at(schema: Any, location: Sequence[str | int]) -> Any:
    """Return the part of a JSON Schema that a location (keys, positions and union tags) leads to."""
    here = schema
    for part in location:
        here = _resolve(here, schema)
        tagged = here.get("discriminator", {}).get("mapping", {}).get(part)
        if tagged is not None:
            here = {"$ref": tagged}
        else:
            here = here.get("items", here) if isinstance(part, int) else here.get("properties", {}).get(part, here)
    return _resolve(here, schema)


def _resolve(here: Any, schema: Any) -> Any:
    if "$ref" in here:
        return schema["$defs"][here["$ref"].rsplit("/", 1)[1]]
    for option in here.get("anyOf", ()):
        if "$ref" in option:
            return schema["$defs"][option["$ref"].rsplit("/", 1)[1]]
    return here


def short(value: object) -> object:
    """Return a value fit for a message: containers as JSON, cut."""
    text = json.dumps(value, default=str) if value is None or isinstance(value, dict | list | tuple) else None
    return value if text is None else text if len(text) <= 120 else text[:117] + "..."
