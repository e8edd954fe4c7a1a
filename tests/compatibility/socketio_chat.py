"""A client of examples/socketio. It needs the client of python-socketio."""

from __future__ import annotations

import queue

import pytest

from support.waiting import WAIT_LIMIT

requests = pytest.importorskip("requests")
socketio = pytest.importorskip("socketio")


class Chat:
    """A client of the chat, and the events that it has received."""

    def __init__(self, server, transports):
        self.events: queue.Queue[tuple[str, object]] = queue.Queue()
        self._session = requests.Session()
        self.client = socketio.Client(reconnection=False, http_session=self._session)
        for name in ("joined", "left", "said"):
            self.client.on(name, lambda value, name=name: self.events.put((name, value)))
        self.client.connect("http://{}:{}".format(*server.address), transports=transports, wait_timeout=WAIT_LIMIT)
        self.sid = self.client.get_sid()

    def join(self, room):
        return self.client.call("join", room, timeout=WAIT_LIMIT)

    def say(self, room, text):
        self.client.emit("say", (room, text))

    def next(self):
        return self.events.get(timeout=WAIT_LIMIT)

    def said(self):
        """The next text. Clients may join in the meantime."""
        name, value = self.next()
        while name == "joined":
            name, value = self.next()
        assert name == "said"
        return value["text"]

    def close(self):
        self.client.disconnect()
        self._session.close()
