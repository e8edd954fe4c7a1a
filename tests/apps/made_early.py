"""Names and objects from before the patch. The configuration imports this module."""

from __future__ import annotations

import threading
from queue import Queue, SimpleQueue
from ssl import SSLContext
from threading import Condition, Event, get_ident

__all__ = ["Condition", "Event", "Queue", "SSLContext", "get_ident"]

barrier = threading.Barrier(2)
event = threading.Event()
lock = threading.Lock()
local = threading.local()
queue: Queue[bool] = Queue()
reentrant = threading.RLock()
semaphore = threading.Semaphore(0)
simple_queue: SimpleQueue[bool] = SimpleQueue()
