"""The changes that are tried, over a file's syntax tree."""

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

COMPARED: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
}
COMPUTED: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Div,
    ast.Div: ast.Mult,
    ast.FloorDiv: ast.Mult,
    ast.Mod: ast.Mult,
    ast.Pow: ast.Mult,
    ast.BitOr: ast.BitAnd,
    ast.BitAnd: ast.BitOr,
}
NEGATED = (ast.Name, ast.Attribute, ast.Call, ast.Subscript, ast.NamedExpr)  # others have an operator of their own
FUNCTION = (ast.FunctionDef, ast.AsyncFunctionDef)
# Read by tools and people: what is in them changes nothing that runs. What is raised is known by its type.
UNREAD = {"annotation", "returns", "type_comment", "type_params"}


@dataclass(frozen=True)
class Mutant:
    """One change: of `function` ("" for what runs when the file is imported) in the file `path`."""

    path: str
    function: str
    line: int
    operator: str
    before: str
    after: str
    number: int  # of those that say the same of the same function

    @property
    def id(self) -> str:
        """A name that stays where other functions of the file change."""
        said = f"{self.path} {self.function} {self.operator} {self.before} {self.after} {self.number}"
        return sha256(said.encode()).hexdigest()[:12]


@dataclass
class Site:
    """A place in the tree, and what can stand there instead."""

    holder: Any  # a node, or a list of nodes
    key: Any  # its field, or the index
    new: ast.AST
    function: str
    operator: str

    @property
    def old(self) -> ast.AST:
        """What stands there."""
        found: ast.AST = self.holder[self.key] if isinstance(self.holder, list) else getattr(self.holder, self.key)
        return found

    def put(self, node: ast.AST) -> None:
        """Let `node` stand there."""
        if isinstance(self.holder, list):
            self.holder[self.key] = node
        else:
            setattr(self.holder, self.key, node)


def list_mutants(path: str, tree: ast.Module) -> Iterator[tuple[Mutant, Site]]:
    """Yield each change of a file, and its place in the tree."""
    seen: dict[tuple[str, ...], int] = {}
    for site in _walk(tree, "", at_import=True):
        ast.fix_missing_locations(ast.copy_location(site.new, site.old))
        said = (site.function, site.operator, _show(site.old), _show(site.new))
        seen[said] = number = seen.get(said, 0) + 1
        function, operator, before, after = said
        yield Mutant(path, function, getattr(site.old, "lineno", 0), operator, before, after, number), site


def compile_mutant(tree: ast.Module, site: Site, path: str) -> Any:
    """Return the file's code with that change; the tree is left as it was."""
    old = site.old
    site.put(site.new)
    try:
        return compile(tree, path, "exec")
    finally:
        site.put(old)


def _show(node: ast.AST) -> str:
    if isinstance(node, ast.If) and isinstance(node.test, ast.Constant):
        return _show(node.body[0]) if node.test.value else "nothing"
    return ast.unparse(node).splitlines()[0][:160]


def _walk(node: ast.AST, function: str, at_import: bool, names: tuple[str, ...] = ()) -> Iterator[Site]:
    for field, value in ast.iter_fields(node):
        if field in UNREAD or (at_import and function == "" and field == "decorator_list"):
            continue
        for holder, key, child in _list_children(node, field, value):
            inside, its_names, runs_later = function, names, at_import
            if isinstance(child, ast.ClassDef):
                its_names = (*names, child.name)
            elif isinstance(child, FUNCTION) and at_import:
                yield from _walk_head(child)
                inside, runs_later = ".".join((*names, child.name)), False
                yield from _walk_body(child, inside)
                continue
            if isinstance(child, ast.If) and _is_for_types(child):
                continue
            if not _is_text(node, field, child):
                yield from _list_changes(holder, key, child, node, inside)
            if not isinstance(child, ast.Raise | ast.JoinedStr):
                yield from _walk(child, inside, runs_later, its_names)


def _walk_head(child: Any) -> Iterator[Site]:
    """What of a function runs when it is defined: its defaults."""
    for holder in (child.args.defaults, child.args.kw_defaults):
        for key, default in enumerate(holder):
            if default is not None:
                yield from _list_changes(holder, key, default, child.args, "")


def _walk_body(child: Any, function: str) -> Iterator[Site]:
    body = ast.Module(child.body, [])
    yield from _walk(body, function, at_import=False)


def _list_children(node: ast.AST, field: str, value: Any) -> Iterator[tuple[Any, Any, ast.AST]]:
    if isinstance(value, list):
        yield from ((value, key, child) for key, child in enumerate(value) if isinstance(child, ast.AST))
    elif isinstance(value, ast.AST):
        yield node, field, value


def _is_for_types(node: ast.If) -> bool:
    return isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"


def _is_text(node: ast.AST, field: str, child: ast.AST) -> bool:
    """Whether it is a docstring, or a text that stands alone."""
    return isinstance(node, ast.Expr) and field == "value" and isinstance(child, ast.Constant)


def _list_changes(holder: Any, key: Any, node: ast.AST, parent: ast.AST, function: str) -> Iterator[Site]:
    def change(operator: str, new: ast.AST) -> Site:
        return Site(holder, key, new, function, operator)

    match node:
        case ast.Compare(left, ops, comparators):
            for index, op in enumerate(ops):
                others = [*ops[:index], COMPARED[type(op)](), *ops[index + 1 :]]
                yield change("comparison", ast.Compare(left, others, comparators))
        case ast.BoolOp(op, values):
            yield change("and/or", ast.BoolOp(ast.Or() if isinstance(op, ast.And) else ast.And(), values))
        case ast.UnaryOp(ast.Not(), operand):
            yield change("not", operand)
        case ast.BinOp(left, op, right) if type(op) in COMPUTED and not isinstance(left, ast.JoinedStr):
            yield change("arithmetic", ast.BinOp(left, COMPUTED[type(op)](), right))
        case ast.AugAssign(target, op, value) if type(op) in COMPUTED:
            yield change("arithmetic", ast.AugAssign(target, COMPUTED[type(op)](), value))
            yield change("statement", _drop(node))
        case ast.Constant(bool() as value):
            yield change("constant", ast.Constant(not value))
        case ast.Constant(int() | float() as value):
            yield change("constant", ast.Constant(value + 1))
        case ast.Constant(str() as value) if value:
            yield change("constant", ast.Constant(f"XX{value}"))
        case ast.Return(value) if value is not None and not _is_none(value):
            instead = ast.Return(ast.Constant(None))
            yield change("return", ast.If(ast.Constant(True), [instead], [node]))
        case ast.Expr(ast.Call() | ast.Await()) | ast.Raise() | ast.Delete():
            yield change("statement", _drop(node))
        case ast.Continue():
            yield change("statement", ast.Break())
        case ast.Break():
            yield change("statement", ast.Continue())
    asks = isinstance(parent, ast.If | ast.IfExp | ast.While | ast.Assert) and key == "test"
    filters = isinstance(parent, ast.comprehension) and holder is parent.ifs
    if (asks or filters) and isinstance(node, NEGATED):
        yield change("not", ast.UnaryOp(ast.Not(), node))


def _is_none(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and node.value is None


def _drop(node: Any) -> ast.If:
    """A statement that does nothing; the names of the one before stay known, which a closure's code must agree in."""
    return ast.If(ast.Constant(False), [node], [])
