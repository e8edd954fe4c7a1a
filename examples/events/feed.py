"""Server-sent events: everything that is posted is sent to all clients of this worker.

In a browser: ``new EventSource("/events").onmessage = (event) => console.log(event.data)``.
"""

from __future__ import annotations

import queue
from collections.abc import Iterator

from flask import Flask, Response, request

app = Flask(__name__)

#: One queue for each client of this worker. With several workers, they need a common source, such as Redis.
subscribers: set[queue.Queue[str]] = set()

#: Seconds between two questions whether the client is still there.
INTERVAL = 0.5


@app.get("/")
def index() -> str:
    return f"{len(subscribers)} clients. Read /events, and POST to it.\n"


@app.post("/events")
def publish() -> tuple[str, int]:
    for subscriber in list(subscribers):
        subscriber.put(request.get_data(as_text=True))
    return "", 204


@app.get("/events")
def events() -> Response:
    # A worker that stops does not wait for this client, which connects again.
    request.environ["gworkers.end_in_drain"]()
    # nginx must not collect the events before it sends them.
    headers = {"Cache-Control": "no-cache", "X-Accel-Buffering": "no"}
    return Response(stream(request.environ["gworkers.client_gone"]), mimetype="text/event-stream", headers=headers)


def stream(client_gone: object) -> Iterator[str]:
    """Send events until the client leaves.

    :param client_gone: is true when it has left. Without it, the generator would run on until it writes.
    """
    mine: queue.Queue[str] = queue.Queue()
    subscribers.add(mine)
    try:
        yield "retry: 1000\n\n"
        while not client_gone:
            try:
                event = mine.get(timeout=INTERVAL)
            except queue.Empty:
                continue
            yield "".join(f"data: {line}\n" for line in event.splitlines()) + "\n"
    finally:
        subscribers.discard(mine)
