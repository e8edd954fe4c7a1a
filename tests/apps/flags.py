"""Answers with the environ values that are not strings."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from app_support import answer

FLAGS = ("wsgi.version", "wsgi.multithread", "wsgi.multiprocess", "wsgi.run_once", "wsgi.input_terminated")


def app(environ: Any, start_response: Any) -> Iterable[bytes]:
    if environ["PATH_INFO"] == "/marked":
        seen: dict[str, object] = {"marked before": "marked" in environ}
        environ["marked"] = True
    elif environ["PATH_INFO"] == "/errors":
        environ["wsgi.errors"].write("a word to the log, caf\xe9\n")
        environ["wsgi.errors"].flush()
        environ["wsgi.errors"].writelines(["more\n", "words\n"])
        seen = {}
    else:
        seen = {name: environ.get(name) for name in FLAGS}
        seen["kind"] = type(environ).__name__
        seen["file_wrapper"] = callable(environ["wsgi.file_wrapper"])
        seen["errors"] = all(hasattr(environ["wsgi.errors"], name) for name in ("write", "writelines", "flush"))
    return answer(start_response, json.dumps(seen).encode())
