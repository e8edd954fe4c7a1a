"""Stands in for a Gunicorn release that calls something by another name: its source is changed as it is imported.

TEST_RENAMED names it: ``gunicorn.sock:create_sockets``, or ``gunicorn.arbiter:Arbiter.reload`` for a method or an
attribute of instances. With ``(more)`` behind it a function gets one more parameter instead. Gunicorn itself goes on
to work, because all of its uses change too.
"""

from __future__ import annotations

import ast
import sys
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from types import CodeType, ModuleType
from typing import Any

#: What a class and its attributes go by in Gunicorn's source: classes that share them, variables that hold one.
RELATED = {
    "Arbiter": ("", "arbiter server"),
    "BaseApplication": ("Application WSGIApplication", "app"),
    "BaseSocket": ("TCPSocket TCP6Socket UnixSocket", "sock lnr listener"),
    "Body": ("", "body"),
    "Config": ("", "cfg conf args env_args opts"),
    "IterUnreader": ("Unreader SocketUnreader", "unreader"),
    "LengthReader": ("", "reader"),
    "Logger": ("", "log logger"),
    "Pidfile": ("", "pidfile"),
    "Reloader": ("ReloaderBase", "reloader"),
    "Request": ("HeaderPolicy Message", "req request mesg"),
    "WSGIApplication": ("BaseApplication Application", "app"),
    "Setting": ("", "setting settings s SSLVersion LoggerClass"),
    "Worker": ("", "worker w sibling"),
}
#: Variables that hold something of the standard library's where their name says otherwise.
OTHERS = ("error_log", "access_log")


class Rename(ast.NodeTransformer):
    """Renames *name* of a module or of one of its classes.

    :param module: whose source it is
    """

    def __init__(self, module: str, owner: str, cls: str, name: str) -> None:
        self.module = module
        self.owner = owner
        self.cls = cls
        self.name = name
        related, variables = RELATED.get(cls, ("", ""))
        self.classes = {cls, *related.split()}
        self.variables = set(variables.split())
        #: whether the node is in one of the classes, and in a function there
        self.inside = self.in_function = False

    @property
    def new(self) -> str:
        return f"renamed_{self.name}"

    def visit_ClassDef(self, node: ast.ClassDef) -> ast.AST:
        if not self.cls and self.module == self.owner and node.name == self.name:
            node.name = self.new
        before = self.inside, self.in_function
        derived = self.cls == "Setting" and "Setting" in map(ast.unparse, node.bases)
        self.inside, self.in_function = derived or node.name in self.classes, False
        self.generic_visit(node)
        self.inside, self.in_function = before
        return node

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        own = self.inside and not self.in_function if self.cls else self.module == self.owner and not self.in_function
        if own and node.name == self.name:
            node.name = self.new
        before, self.in_function = self.in_function, True
        self.generic_visit(node)
        self.in_function = before
        return node

    def visit_Name(self, node: ast.Name) -> ast.AST:
        module_level = not self.cls and self.module == self.owner
        class_level = self.cls and self.inside and not self.in_function
        if node.id == self.name and (module_level or class_level):
            node.id = self.new
        return node

    def visit_ImportFrom(self, node: ast.ImportFrom) -> ast.AST:
        for alias in node.names:
            if not self.cls and node.module == self.owner and alias.name == self.name:
                alias.name, alias.asname = self.new, alias.asname or alias.name
        return node

    def visit_Attribute(self, node: ast.Attribute) -> ast.AST:
        self.generic_visit(node)
        base = node.value.value if isinstance(node.value, ast.Subscript) else node.value
        last = base.attr if isinstance(base, ast.Attribute) else ast.unparse(base)
        if node.attr == self.name and last not in OTHERS and (
                (self.inside and last in ("self", "cls", "super()")) or last in self.variables or last in self.classes
                or (not self.cls and last == self.owner.rpartition(".")[2])):
            node.attr = self.new
        return node

    def visit_Constant(self, node: ast.Constant) -> ast.AST:
        if self.cls == "Config" and self.module == self.owner and node.value == self.name:
            return ast.copy_location(ast.Constant(self.new), node)
        return node


class AddParameter(Rename):
    """Gives the function one more parameter, with a default."""

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        if node.name == self.name and (self.inside or not self.cls) and not self.in_function:
            node.args.args.append(ast.arg("more"))
            node.args.defaults.append(ast.Constant(None))
        return node

    def visit_Name(self, node: ast.Name) -> ast.AST:
        return node

    def visit_ImportFrom(self, node: ast.ImportFrom) -> ast.AST:
        return node

    def visit_Attribute(self, node: ast.Attribute) -> ast.AST:
        return node

    def visit_Constant(self, node: ast.Constant) -> ast.AST:
        return node


class Loader(SourceFileLoader):
    transform: Any

    def get_code(self, fullname: str) -> CodeType | None:
        # Neither read from nor written to a cache.
        source = self.get_source(fullname)
        assert source is not None
        tree = ast.fix_missing_locations(self.transform(fullname).visit(ast.parse(source)))
        return compile(tree, self.path, "exec", dont_inherit=True)


class Finder(MetaPathFinder):
    def __init__(self, target: str) -> None:
        target, more, _ = target.partition("(more)")
        self.owner, _, path = target.partition(":")
        self.cls, _, self.name = path.rpartition(".")
        self.kind = AddParameter if more else Rename

    def find_spec(self, fullname: str, path: Any, target: ModuleType | None = None) -> ModuleSpec | None:
        if fullname.partition(".")[0] != "gunicorn":
            return None
        spec = PathFinder.find_spec(fullname, path, target)
        if spec is not None and spec.origin is not None:
            spec.loader = Loader(fullname, spec.origin)
            spec.loader.transform = lambda module: self.kind(module, self.owner, self.cls, self.name)
        return spec


def install(target: str) -> None:
    sys.meta_path.insert(0, Finder(target))
