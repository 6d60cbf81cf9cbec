"""JSON as a tree for a template, of a limited size whatever a job holds."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from errand.api.console.formatting import show_count

# What a page shows; all of the JSON is one link away.
NODES_LIMIT = 1000
ITEMS_LIMIT = 100  # of one list or object
TEXT_LIMIT = 2000  # characters of one string
DEPTH_LIMIT = 30


@dataclass
class Node:
    """One value: its key, what kind it is, its own text or the nodes inside it; `left` counts what is not shown.

    `kind` is object, array, string, number or word (true, false, null).
    """

    key: str | None
    kind: str
    text: str = ""
    inner: list["Node"] = field(default_factory=list)
    left: int = 0


def build_tree(value: Any) -> Node:
    """Return a value of JSON as a tree of at most NODES_LIMIT nodes."""
    return _build(None, value, iter(range(NODES_LIMIT)), 0)


def _build(key: str | None, value: Any, budget: Iterator[int], depth: int) -> Node:
    if isinstance(value, str):
        return Node(key, "string", value[:TEXT_LIMIT], left=max(0, len(value) - TEXT_LIMIT))
    if isinstance(value, dict | list):
        return _build_inner(key, value, budget, depth)
    kind = "word" if value is None or isinstance(value, bool) else "number"
    return Node(key, kind, json.dumps(value))


def _build_inner(key: str | None, value: dict[str, Any] | list[Any], budget: Iterator[int], depth: int) -> Node:
    is_object = isinstance(value, dict)
    pairs = list(value.items()) if isinstance(value, dict) else [(None, one) for one in value]
    node = Node(key, "object" if is_object else "array", show_count(len(pairs), "field" if is_object else "item"))
    for number, (name, inner) in enumerate(pairs):
        if number >= ITEMS_LIMIT or depth >= DEPTH_LIMIT or next(budget, None) is None:
            node.left = len(pairs) - number
            break
        node.inner.append(_build(str(number) if name is None else name, inner, budget, depth + 1))
    return node
