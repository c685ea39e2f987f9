"""``netsim schema``: the JSON Schema of a scenario file."""

from __future__ import annotations

from netsim.cli.options import print_json


def command() -> None:
    """Print the JSON Schema of scenario files (editors check and complete with it)."""
    from netsim.scenario import schema

    print_json(schema())
