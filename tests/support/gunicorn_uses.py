"""Every use of Gunicorn's internals in the source of gworkers, as far as ``ast`` shows it.

Types are not inferred. A class belongs to Gunicorn's class that it is derived from, and a variable to the class that
``RECEIVERS`` gives for its name.
"""

from __future__ import annotations

import ast
import importlib
import inspect
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from gunicorn.config import KNOWN_SETTINGS

PACKAGE = Path(__file__).parents[2] / "gworkers"

ARBITER, WORKER = "gunicorn.arbiter:Arbiter", "gunicorn.workers.base:Worker"
CONFIG, LOGGER = "gunicorn.config:Config", "gunicorn.glogging:Logger"
REQUEST, SOCKET = "gunicorn.http.message:Request", "gunicorn.sock:BaseSocket"

#: Gunicorn's class by the name of a variable or an attribute, below a folder or in a module of the package.
RECEIVERS = {
    "arbiter": {"": ARBITER}, "_arbiter": {"": ARBITER},
    "worker": {"": WORKER},
    "cfg": {"": CONFIG}, "_cfg": {"": CONFIG},
    "log": {"master/": LOGGER, "worker/boot.py": LOGGER, "worker/boot_failure.py": LOGGER,
            "serving/access_log.py": LOGGER},
    "_log": {"master/": LOGGER, "serving/access_log.py": LOGGER},
    "logger": {"": LOGGER}, "_logger": {"": LOGGER}, "kind": {"serving/access_log.py": LOGGER},
    "client": {"master/statsd.py": "gunicorn.instrument.statsd:Statsd"},
    "app": {"master/": "gunicorn.app.base:BaseApplication", "worker/": "gunicorn.app.base:BaseApplication",
            "doctor/": "gunicorn.app.wsgiapp:WSGIApplication"},
    "setting": {"": "gunicorn.config:Setting"}, "known": {"": "gunicorn.config:Setting"},
    "listener": {"master/": SOCKET}, "sock": {"serving/listener.py": SOCKET},
    "pidfile": {"master/": "gunicorn.pidfile:Pidfile"}, "original": {"master/pidfile.py": "gunicorn.pidfile:Pidfile"},
    "reloader": {"worker/": "gunicorn.reloader:Reloader"},
    "head": {"http1/head.py": REQUEST}, "body": {"http1/": "gunicorn.http.body:Body"},
    "reader": {"http1/": "gunicorn.http.body:LengthReader"},
}
#: Gunicorn's class by the name of an attribute that holds it, or a class derived from it.
CLASSES = {"_request_class": REQUEST}


class Use(NamedTuple):
    """One name of Gunicorn's in one folder of gworkers, or in one module at its top."""

    owner: str
    name: str
    place: str


@cache
def load(owner: str) -> Any:
    """The module or class that *owner* names; None if this release has none."""
    module, _, path = owner.partition(":")
    try:
        found: Any = importlib.import_module(module)
    except ImportError:
        return None
    for part in filter(None, path.split(".")):
        found = getattr(found, part, None)
    return found


def definition(cls: type) -> ast.ClassDef:
    """The source of *cls*. From Python 3.13 on, inspect finds none for a class that a call has created."""
    module = ast.parse(inspect.getsource(importlib.import_module(cls.__module__)))
    return next(node for node in ast.walk(module) if isinstance(node, ast.ClassDef) and node.name == cls.__name__)


@cache
def members(owner: str) -> frozenset[str]:
    """The attributes of a class of Gunicorn's and of its instances."""
    cls = load(owner)
    if not isinstance(cls, type):
        return frozenset()
    stored = {
        node.attr for base in cls.__mro__ if base.__module__.startswith("gunicorn")
        for node in ast.walk(definition(base))
        if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store) and isinstance(node.value, ast.Name)
        and node.value.id == "self"}
    settings = {setting.name for setting in KNOWN_SETTINGS} if owner == CONFIG else set()
    return frozenset(name for name in {*dir(cls), *stored, *settings} if not name.startswith("__"))


def uses(declared: dict[str, set[str]]) -> set[Use]:
    """All uses; *declared* has names by owner, among them those of other releases than the installed one."""
    modules = {str(path.relative_to(PACKAGE)): ast.parse(path.read_text()) for path in sorted(PACKAGE.rglob("*.py"))}
    classes = dict(derived_classes(modules.values()))

    def known(owner: str, name: str) -> bool:
        return name in members(owner) or name in declared.get(owner, ())

    found = set()
    for module, tree in modules.items():
        folder, slash, _ = module.partition("/")
        place = folder + slash
        imported = dict(imports(tree))
        found |= {Use(*owner_and_name(name), place) for name in (*imported.values(), *strings(tree))
                  if not inspect.ismodule(load(name.replace(":", ".")))}
        found |= {Use(owner, name, place) for owner, name in attributes(tree, module, imported, classes)
                  if known(owner, name)}
        for node in tree.body:
            if isinstance(node, ast.ClassDef) and node.name in classes:
                owner = classes[node.name]
                found |= {Use(owner, name, place) for name in own_names(node) if known(owner, name)}
    return {use for use in found if use.owner}


def owner_and_name(name: str) -> tuple[str, str]:
    """Split ``module:Class.name``; without a class the owner is the module."""
    module, _, path = name.partition(":")
    owner, _, last = path.rpartition(".")
    return (f"{module}:{owner}" if owner else module), last


def walk(tree: ast.AST) -> Iterator[ast.AST]:
    """All nodes but those that only a type checker sees."""
    for child in ast.iter_child_nodes(tree):
        if not (isinstance(child, ast.If) and ast.unparse(child.test) == "TYPE_CHECKING"):
            yield child
            yield from walk(child)


def imports(tree: ast.AST) -> Iterator[tuple[str, str]]:
    """What *tree* imports from Gunicorn, as ``module:name``, by the name that it has here."""
    for node in walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] == "gunicorn":
            for alias in node.names:
                yield alias.asname or alias.name, f"{node.module}:{alias.name}"


def strings(tree: ast.AST) -> Iterator[str]:
    """What *tree* gets by ``optional("module:name", ...)``, ``find("module:name")`` or ``import_module("m").name``."""
    for node in walk(tree):
        if (isinstance(node, ast.Call) and ast.unparse(node.func) in ("optional", "find")
                and isinstance(node.args[0], ast.Constant)):
            yield ast.literal_eval(node.args[0])
        if (isinstance(node, ast.Attribute) and isinstance(node.value, ast.Call)
                and ast.unparse(node.value.func) == "import_module"):
            (argument,) = node.value.args
            if isinstance(argument, ast.Constant) and ast.unparse(argument).startswith("'gunicorn"):
                yield f"{ast.literal_eval(argument)}:{node.attr}"


def asked_for(tree: ast.AST) -> Iterator[tuple[str, str]]:
    """Variables with the attributes that *tree* asks for with ``getattr()`` and a default, or with ``hasattr()``."""
    for node in walk(tree):
        if isinstance(node, ast.Call) and (ast.unparse(node.func), len(node.args)) in (("getattr", 3), ("hasattr", 2)):
            variable, name, *_ = node.args
            if isinstance(name, ast.Constant) and isinstance(name.value, str):
                yield last_name(variable), name.value


def last_name(node: ast.AST) -> str:
    """``cfg`` for ``self.cfg``."""
    return node.attr if isinstance(node, ast.Attribute) else ast.unparse(node)


def attributes(tree: ast.AST, module: str, imported: dict[str, str],
               classes: dict[str, str]) -> Iterator[tuple[str, str]]:
    """Attributes of modules and classes that are imported, and of variables; a class that is called has __init__."""
    asked = set(asked_for(tree))
    for node in walk(tree):
        if isinstance(node, ast.Call):
            for owners in (imported, classes, CLASSES):
                if last_name(node.func) in owners:
                    yield owners[last_name(node.func)], "__init__"
        if isinstance(node, ast.Attribute):
            variable = last_name(node.value)
            if (variable, node.attr) in asked:
                continue
            if variable in imported:
                owner = imported[variable]
                yield (owner.replace(":", ".") if inspect.ismodule(load(owner.replace(":", "."))) else owner), node.attr
            for place, owner in RECEIVERS.get(variable, {}).items():
                if module.startswith(place):
                    yield owner, node.attr


def derived_classes(trees: Any) -> Iterator[tuple[str, str]]:
    """Gunicorn's class by the name of each class of gworkers that is derived from it."""
    bases: dict[str, list[str]] = {}
    roots: dict[str, str] = {}
    for tree in trees:
        imported = dict(imports(tree))
        for node in tree.body:
            if isinstance(node, ast.ClassDef):
                bases[node.name] = [ast.unparse(base) for base in node.bases]
                for base in bases[node.name]:
                    first, _, rest = base.partition(".")
                    if first in imported:
                        owner = imported[first]
                        roots[node.name] = f"{owner.replace(':', '.')}:{rest}" if rest else owner
    for name in bases:
        following = [name]
        while following:
            current = following.pop()
            if current in roots:
                yield name, roots[current]
                break
            following += bases.get(current, [])


def own_names(definition: ast.ClassDef) -> Iterator[str]:
    """The methods of a class, and the attributes of ``self``, ``cls`` and ``super()`` in them."""
    for node in ast.walk(definition):
        if isinstance(node, ast.FunctionDef):
            yield node.name
        if isinstance(node, ast.Attribute) and ast.unparse(node.value) in ("self", "cls", "super()"):
            yield node.attr
