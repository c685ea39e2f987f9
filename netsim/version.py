"""The version of the installed package."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError
from importlib.metadata import version as _installed

try:
    VERSION = _installed("netsim")
except PackageNotFoundError:  # running from a checkout that was not installed
    VERSION = "0+unknown"
