"""Serve one request with each worker class of the gworkers that is installed, and check the response."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from urllib.request import urlopen

WORKERS = "gworkers.GeventWorker", "gworkers.EventletWorker"


def app(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", "5")])
    return [b"hello"]


def listening_url(server):
    """Return the URL that *server* logs when it starts."""
    for line in server.stderr:
        sys.stderr.write(line)
        if found := re.search(r"Listening at: (\S+)", line):
            return found[1]
    sys.exit("Gunicorn did not start.")


def serve(worker_class):
    command = [sys.executable, "-m", "gunicorn", "--chdir", str(Path(__file__).parent), "--bind", "127.0.0.1:0",
               "--worker-class", worker_class, "hello:app"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as server:
        try:
            with urlopen(listening_url(server), timeout=60) as response:
                assert (response.status, response.read()) == (200, b"hello")
        finally:
            server.terminate()
            sys.stderr.writelines(server.stderr)
    assert server.returncode == 0


if __name__ == "__main__":
    for worker_class in WORKERS:
        serve(worker_class)
