"""A Flask application that uses what depends on the current request: ``request``, ``g`` and ``session``.

Flask keeps them in context variables. gworkers runs each request in a context of its own, so requests that wait at
the same time do not see each other's values.
"""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Iterator

from flask import Flask, Response, g, jsonify, request, session, stream_with_context

app = Flask(__name__)
# All workers need the same key. A random one would log out every user at a restart.
app.secret_key = os.environ.get("SECRET_KEY", "only for this example")
# Larger requests get 413.
app.config["MAX_CONTENT_LENGTH"] = 64 * 1024 * 1024


@app.before_request
def start_clock() -> None:
    g.started = time.monotonic()


@app.get("/")
def index() -> str:
    return "POST a note to /notes, and a file to /files.\n"


@app.route("/notes", methods=["GET", "POST"])
def notes() -> Response:
    """The notes of this session, which the browser keeps in a signed cookie."""
    if request.method == "POST":
        # Something slow, such as a query. Other requests run in the meantime.
        time.sleep(0.1)
        session["notes"] = [*session.get("notes", []), request.form["note"]]
    return jsonify(notes=session.get("notes", []), path=request.path, seconds=round(time.monotonic() - g.started, 2))


@app.post("/files")
def files() -> Response:
    """Werkzeug parses the form while it arrives, and keeps large files in temporary files."""
    digest = hashlib.sha256()
    stream = request.files["file"].stream
    while data := stream.read(65536):
        digest.update(data)
    return jsonify(name=request.files["file"].filename, sha256=digest.hexdigest())


@app.get("/count")
def count() -> Response:
    """``stream_with_context`` keeps ``request``, ``g`` and ``session`` while the response is streamed."""
    @stream_with_context
    def lines() -> Iterator[str]:
        for number in range(int(request.args.get("to", 3))):
            yield f"{number} {request.args.get('name', '')} {time.monotonic() - g.started:.2f}\n"
            time.sleep(0.1)

    return Response(lines(), mimetype="text/plain")
