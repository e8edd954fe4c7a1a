"""Loads the parts of gunicorn.conf.py that are in the documentation, as Gunicorn does; a program.

It reads a JSON object of texts from stdin, and writes one of problems by the same keys. Each text is executed in a
process of its own, because a configuration may patch the standard library.
"""

from __future__ import annotations

import ast
import json
import os
import sys
import tempfile

from gunicorn.config import Config

import gworkers


def load(text: str) -> None:
    # A part of a page need not repeat its imports.
    namespace = {"__name__": "__config__", "__file__": "gunicorn.conf.py",
                 "GeventWorker": gworkers.GeventWorker, "EventletWorker": gworkers.EventletWorker}
    tree = ast.parse(text)
    exec(compile(tree, "gunicorn.conf.py", "exec"), namespace)
    config = Config()
    unknown = assigned(tree) - config.settings.keys() - used(tree)
    if unknown:
        raise ValueError(f"not a setting of Gunicorn, and not used: {', '.join(sorted(unknown))}")
    for name in assigned(tree) & config.settings.keys():
        config.set(name, namespace[name])


def assigned(tree: ast.Module) -> set[str]:
    """The names that Gunicorn would take for settings."""
    functions = {node.name for node in tree.body if isinstance(node, ast.FunctionDef) and not node.decorator_list}
    targets = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}
    names = {target.id for node in tree.body if isinstance(node, ast.Assign)
             for target in node.targets if isinstance(target, ast.Name)}
    return functions | (targets & names)


def used(tree: ast.Module) -> set[str]:
    return {node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)}


def problem(text: str) -> str:
    """What is wrong with the text; empty if nothing is."""
    with tempfile.TemporaryFile("w+") as result:
        child = os.fork()
        if not child:
            try:
                load(text)
            except BaseException as error:
                result.write(f"{type(error).__name__}: {error}")
                result.flush()
            os._exit(0)
        os.waitpid(child, 0)
        result.seek(0)
        return result.read()


if __name__ == "__main__":
    found = {place: problem(text) for place, text in json.load(sys.stdin).items()}
    json.dump({place: text for place, text in found.items() if text}, sys.stdout)
