"""Arithmetic that derives a cost from published numbers: ``30.5 * 3.6 / 3.0``, written beside the value it gives.

Numbers, ``+ - * /`` and brackets; nothing else, so that what a profile states can be followed with a pencil.
"""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable, Mapping

OPERATORS: Mapping[type[ast.operator], Callable[[float, float], float]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
}
ROUNDING = 0.025
"""How far, as a fraction, a value may lie from what its arithmetic gives: values are rounded to two or three digits."""


def evaluate(text: str) -> float:
    """Return what an expression comes to.

    Raises
    ------
    ValueError
        When it is not an expression of numbers, or divides by zero.
    """
    try:
        return _value(ast.parse(text.strip(), mode="eval").body)
    except (SyntaxError, ZeroDivisionError) as error:
        raise ValueError(f"arithmetic that does not work out: {text}") from error


def _value(node: ast.expr) -> float:
    if isinstance(node, ast.Constant) and isinstance(node.value, int | float) and not isinstance(node.value, bool):
        return float(node.value)
    if isinstance(node, ast.BinOp) and type(node.op) in OPERATORS:
        return OPERATORS[type(node.op)](_value(node.left), _value(node.right))
    raise ValueError(f"arithmetic of more than numbers, + - * / and brackets: {ast.unparse(node)}")


def check(text: str, value: float) -> None:
    """Check that a value is what its arithmetic gives, up to rounding. Raises `ValueError`."""
    found = evaluate(text)
    if abs(found - value) > ROUNDING * max(abs(found), abs(value)):
        raise ValueError(f"{text} is {found:.6g}, not {value:.6g}")
