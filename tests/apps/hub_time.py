"""An application whose requests hold the hub, or wait."""

import threading
import time


def run(seconds):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        pass


def streams():
    for _ in range(2):
        yield b"part"
        run(0.1)
        time.sleep(0.1)


def app(environ, start_response):
    start_response("200 OK", [])
    path = environ["PATH_INFO"]
    if path == "/streams":
        return streams()
    if path.startswith("/runs"):
        run(0.2)
    if path == "/waits-for-a-greenlet-that-runs":
        other = threading.Thread(target=run, args=(0.2,))
        other.start()
        other.join()
    elif path.endswith("waits"):
        time.sleep(float(environ["QUERY_STRING"] or 0.2))
    return [b"done"]
