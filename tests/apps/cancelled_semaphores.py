"""Semaphores, whose slots requests wait for and hold."""

from __future__ import annotations

import threading
import time

from cancelled_client import SIZE, Client, held, hub_semaphore


class HubSemaphore(Client):
    def __init__(self):
        self.semaphore = self.create()

    def create(self):
        return hub_semaphore()

    def lend(self):
        return held(self.semaphore)

    def echo(self, value, seconds):
        for _ in range(10):
            with self.lend():
                time.sleep(seconds / 100)
        return value

    def write_two_rows(self, token):
        self.echo(token, 0)

    def half_transactions(self):
        return 0


class ThreadingSemaphore(HubSemaphore):
    def create(self):
        return threading.BoundedSemaphore(SIZE)
