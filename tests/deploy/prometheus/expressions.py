"""What a PromQL expression names: metrics, labels, ranges. Walks promql-parser's tree."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import promql_parser as promql


@dataclass(frozen=True, slots=True)
class Selector:
    """``metric{label="value"}[range]``, and the functions around it, the innermost first."""

    metric: str
    matchers: dict[str, str]
    seconds: float | None
    functions: tuple[str, ...]


def selectors(expr: str) -> list[Selector]:
    """Raises `ValueError` where `expr` is no PromQL."""
    return [_selector(node, around) for node, around in _walk(promql.parse(expr), ())]


def grouping(expr: str) -> list[tuple[set[str], set[str]]]:
    """For each ``by``: its labels, and the metrics under it."""
    found: list[tuple[set[str], set[str]]] = []

    def visit(node: Any) -> None:
        if isinstance(node, promql.AggregateExpr) and node.modifier is not None:
            names = {_selector(each, ()).metric for each, _ in _walk(node, ())}
            found.append((set(node.modifier.labels), names))
        for child in _children(node):
            visit(child)

    visit(promql.parse(expr))
    return found


def matching(expr: str) -> set[str]:
    """Labels that two sides are matched ``on``, or are ``ignored``."""
    found: set[str] = set()

    def visit(node: Any) -> None:
        modifier = getattr(node, "modifier", None)
        if isinstance(node, promql.BinaryExpr) and modifier and modifier.matching:
            found.update(modifier.matching.labels)
        for child in _children(node):
            visit(child)

    visit(promql.parse(expr))
    return found


def _walk(node: Any, around: tuple[str, ...]) -> Iterator[tuple[Any, tuple[str, ...]]]:
    if isinstance(node, promql.VectorSelector | promql.MatrixSelector):
        yield node, around
        return
    if isinstance(node, promql.Call):
        around = (node.func.name, *around)
    for child in _children(node):
        yield from _walk(child, around)


def _children(node: Any) -> list[Any]:
    if isinstance(node, promql.Call):
        return list(node.args)
    if isinstance(node, promql.BinaryExpr):
        return [node.lhs, node.rhs]
    return [node.expr] if hasattr(node, "expr") else []


def _selector(node: Any, around: tuple[str, ...]) -> Selector:
    vector = node.vector_selector if isinstance(node, promql.MatrixSelector) else node
    matchers = {each.name: each.value for each in vector.matchers.matchers}
    seconds = node.range.total_seconds() if isinstance(node, promql.MatrixSelector) else None
    return Selector(vector.name or matchers.get("__name__", ""), matchers, seconds, around)
