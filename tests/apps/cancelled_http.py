"""HTTP clients, each with a pool of a few connections, as an application uses them."""

from __future__ import annotations

import os
from contextlib import contextmanager

from cancelled_client import PATIENCE, SIZE, SMALL_BUFFER, Client


class Http(Client):
    def write_two_rows(self, token):
        self.echo(token, 0)

    def half_transactions(self):
        return 0

    @property
    def url(self):
        return os.environ["UPSTREAM"]


class Urllib3(Http):
    """A pool that opens more connections if all are lent, as by default."""

    packages = ("urllib3",)
    blocks = False

    def __init__(self):
        import urllib3

        self.pool = urllib3.PoolManager(maxsize=SIZE, block=self.blocks, timeout=PATIENCE, retries=False,
                                        socket_options=[SMALL_BUFFER])

    def echo(self, value, seconds):
        response = self.pool.request("POST", f"{self.url}/echo?{seconds}", body=value.encode())
        assert response.status == 200, response.status
        return response.data.decode()

    @contextmanager
    def lend(self):
        response = self.pool.request("GET", f"{self.url}/", preload_content=False, pool_timeout=PATIENCE)
        try:
            yield
        finally:
            response.read()
            response.release_conn()


class Urllib3Blocking(Urllib3):
    """A pool whose requests wait for a connection if all are lent."""

    blocks = True


class Requests(Http):
    """A session, which opens more connections if all are lent."""

    blocks = False
    packages = ("requests", "urllib3")

    def __init__(self):
        import requests
        from requests.adapters import HTTPAdapter

        class Adapter(HTTPAdapter):
            def init_poolmanager(self, *args, **more):
                super().init_poolmanager(*args, **more, socket_options=[SMALL_BUFFER])

        self.session = requests.Session()
        self.session.mount("http://", Adapter(pool_maxsize=SIZE, pool_block=self.blocks))

    def echo(self, value, seconds):
        response = self.session.post(f"{self.url}/echo?{seconds}", data=value.encode(), timeout=PATIENCE)
        assert response.status_code == 200, response.status_code
        return response.text

    @contextmanager
    def lend(self):
        with self.session.get(f"{self.url}/", stream=True, timeout=PATIENCE) as response:
            yield
            assert response.text == "ok"


class RequestsBlocking(Requests):
    """A session whose requests wait for a connection if all are lent."""

    blocks = True


class Httpx(Http):
    """A client for all requests, which wait for a connection if all are used."""

    packages = ("httpx", "httpcore")
    limit = SIZE

    def __init__(self):
        import httpx

        limits = httpx.Limits(max_connections=self.limit, max_keepalive_connections=SIZE)
        self.client = httpx.Client(
            transport=httpx.HTTPTransport(limits=limits, socket_options=[SMALL_BUFFER]), timeout=PATIENCE)

    def echo(self, value, seconds):
        response = self.client.post(f"{self.url}/echo?{seconds}", content=value.encode())
        assert response.status_code == 200, response.status_code
        return response.text

    @contextmanager
    def lend(self):
        with self.client.stream("GET", f"{self.url}/") as response:
            yield
            response.read()
            assert response.text == "ok"


class HttpxUnlimited(Httpx):
    """A client for all requests, which opens more connections if all are used."""

    limit = None
