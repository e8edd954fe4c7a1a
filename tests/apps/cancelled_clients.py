"""Client libraries, each with a pool of a few connections, as an application uses them.

``echo(value, seconds)`` asks the server for *value* after *seconds*; ``write_two_rows(token)`` is one transaction.
"""

from __future__ import annotations

import os
import queue
import threading
import time
from contextlib import closing, contextmanager
from importlib.metadata import version

SIZE = 6
#: Seconds that a request waits for a connection of a pool.
PATIENCE = 5
DIRECTORY = os.environ.get("SERVER_DIRECTORY", "")


class Client:
    packages = ()
    size = SIZE

    def versions(self):
        return {package: version(package) for package in self.packages}


class Redis(Client):
    packages = ("redis",)

    def __init__(self):
        import redis

        self.pool = redis.BlockingConnectionPool(
            connection_class=redis.UnixDomainSocketConnection, path=f"{DIRECTORY}/socket", max_connections=SIZE,
            timeout=PATIENCE, decode_responses=True)
        self.redis = redis.Redis(connection_pool=self.pool)

    def echo(self, value, seconds):
        if len(value) > 100:
            return self.redis.echo(value)
        # The first one has no element until its timeout.
        with self.redis.pipeline(transaction=False) as pipeline:
            pipeline.execute_command("BLPOP", "nothing", max(seconds, 0.001))
            pipeline.echo(value)
            return pipeline.execute()[1]

    def write_two_rows(self, token):
        with self.redis.pipeline(transaction=True) as pipeline:
            pipeline.set(f"first:{token}", "x" * 300_000, ex=30)
            pipeline.incr("transactions")
            pipeline.sadd("first", token)
            pipeline.sadd("second", token)
            pipeline.execute()

    def half_transactions(self):
        return len(self.redis.sdiff("first", "second")) + len(self.redis.sdiff("second", "first"))

    @contextmanager
    def lend(self):
        connection = self.pool.get_connection()
        try:
            yield
        finally:
            self.pool.release(connection)


class Sql(Client):
    """Databases: ``lend()`` gives a connection of DB-API 2."""

    sleep = "SELECT pg_sleep(%s)"
    echo_query = "SELECT %s"

    def create_table(self):
        with self.lend() as connection:
            cursor = connection.cursor()
            cursor.execute("DROP TABLE IF EXISTS pairs")
            cursor.execute("CREATE TABLE pairs (token VARCHAR(40), half INT)")
            connection.commit()

    def echo(self, value, seconds):
        with self.lend() as connection:
            cursor = connection.cursor()
            cursor.execute(self.sleep, (seconds,))
            cursor.fetchall()
            cursor.execute(self.echo_query, (value,))
            found = cursor.fetchone()[0]
            connection.commit()
            return found

    def write_two_rows(self, token):
        with self.lend() as connection:
            cursor = connection.cursor()
            cursor.execute("INSERT INTO pairs VALUES (%s, 1)", (token,))
            cursor.execute(self.sleep, (0.005,))
            cursor.fetchall()
            cursor.execute("INSERT INTO pairs VALUES (%s, 2)", (token,))
            connection.commit()

    def _number(self, query):
        with self.lend() as connection:
            cursor = connection.cursor()
            cursor.execute(query)
            found = cursor.fetchone()[0]
            connection.commit()
            return found

    def half_transactions(self):
        return self._number("SELECT count(*) FROM (SELECT token FROM pairs GROUP BY token HAVING count(*) <> 2) halves")


class Psycopg2(Sql):
    """A connection for each request."""

    packages = ("psycopg2-binary",)

    def __init__(self):
        self.create_table()

    @contextmanager
    def lend(self):
        import psycopg2

        with closing(psycopg2.connect(host=DIRECTORY, user="postgres")) as connection:
            yield connection


class Psycopg2Pool(Sql):
    """psycopg2's own pool, and a semaphore, because this pool does not wait."""

    packages = ("psycopg2-binary",)

    def __init__(self):
        import psycopg2.pool

        self.pool = psycopg2.pool.ThreadedConnectionPool(SIZE, SIZE, host=DIRECTORY, user="postgres")
        self.semaphore = threading.BoundedSemaphore(SIZE)
        self.create_table()

    @contextmanager
    def lend(self):
        with self.semaphore:
            connection = self.pool.getconn()
            try:
                yield connection
            finally:
                self.pool.putconn(connection)


class Psycopg(Sql):
    """A connection for each request."""

    packages = ("psycopg",)

    def __init__(self):
        self.create_table()

    def lend(self):
        import psycopg

        return psycopg.connect(host=DIRECTORY, user="postgres")


class PsycopgPool(Sql):
    packages = ("psycopg", "psycopg-pool")

    def __init__(self):
        import psycopg_pool

        self.pool = psycopg_pool.ConnectionPool(
            f"host={DIRECTORY} user=postgres", min_size=SIZE, max_size=SIZE, timeout=PATIENCE, open=True)
        self.create_table()

    def lend(self):
        return self.pool.connection()


class SqlAlchemy(Sql):
    def __init__(self):
        import sqlalchemy

        self.sqlalchemy = sqlalchemy
        self.engine = sqlalchemy.create_engine(
            self.url(), pool_size=SIZE - 2, max_overflow=2, pool_timeout=PATIENCE)
        with self.engine.begin() as connection:
            self.run(connection, "DROP TABLE IF EXISTS pairs")
            self.run(connection, "CREATE TABLE pairs (token VARCHAR(40), half INT)")

    def run(self, connection, query, **values):
        return connection.execute(self.sqlalchemy.text(query), values)

    def echo(self, value, seconds):
        with self.engine.connect() as connection:
            self.run(connection, self.sleep, seconds=seconds).fetchall()
            return self.run(connection, "SELECT CAST(:value AS CHAR(2000000))", value=value).scalar().strip()

    def write_two_rows(self, token):
        with self.engine.begin() as connection:
            self.run(connection, "INSERT INTO pairs VALUES (:token, 1)", token=token)
            self.run(connection, self.sleep, seconds=0.005).fetchall()
            self.run(connection, "INSERT INTO pairs VALUES (:token, 2)", token=token)

    def _number(self, query):
        with self.engine.connect() as connection:
            return self.run(connection, query).scalar()

    @contextmanager
    def lend(self):
        with self.engine.connect() as connection:
            self.run(connection, "SELECT 1").fetchall()
            yield


class SqlAlchemyPsycopg2(SqlAlchemy):
    packages = ("sqlalchemy", "psycopg2-binary")
    sleep = "SELECT pg_sleep(:seconds)"

    def url(self):
        return f"postgresql+psycopg2://postgres@/postgres?host={DIRECTORY}"


class SqlAlchemyPsycopg(SqlAlchemy):
    packages = ("sqlalchemy", "psycopg")
    sleep = "SELECT pg_sleep(:seconds)"

    def url(self):
        return f"postgresql+psycopg://postgres@/postgres?host={DIRECTORY}"


class SqlAlchemyPyMySQL(SqlAlchemy):
    packages = ("sqlalchemy", "pymysql")
    sleep = "SELECT SLEEP(:seconds)"

    def url(self):
        return f"mysql+pymysql://root@/test?unix_socket={DIRECTORY}/socket&charset=utf8mb4"


class PyMySQL(Sql):
    """A connection for each request."""

    packages = ("pymysql",)
    sleep = "SELECT SLEEP(%s)"

    def __init__(self):
        self.create_table()

    def connect(self):
        import pymysql

        return pymysql.connect(unix_socket=f"{DIRECTORY}/socket", user="root", database="test",
                               read_timeout=PATIENCE)

    def lend(self):
        return self.connect()


class PyMySQLKept(PyMySQL):
    """A pool that lends a connection again after any exception."""

    def __init__(self):
        self.pool = queue.LifoQueue()
        for _ in range(SIZE):
            self.pool.put(self.connect())
        super().__init__()

    @contextmanager
    def lend(self):
        connection = self.pool.get(timeout=PATIENCE)
        try:
            if not connection.open:
                connection.connect()
            yield connection
        finally:
            self.pool.put(connection)


class PyMySQLClosed(PyMySQLKept):
    """A pool that closes a connection after an exception that is no error of the database."""

    @contextmanager
    def lend(self):
        connection = self.pool.get(timeout=PATIENCE)
        try:
            if not connection.open:
                connection.connect()
            yield connection
        except BaseException:
            connection._force_close()
            raise
        finally:
            self.pool.put(connection)


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

        self.pool = urllib3.PoolManager(maxsize=SIZE, block=self.blocks, timeout=PATIENCE, retries=False)

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

        self.session = requests.Session()
        self.session.mount("http://", HTTPAdapter(pool_maxsize=SIZE, pool_block=self.blocks))

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
    """A client for all requests."""

    packages = ("httpx", "httpcore")

    def __init__(self):
        import httpx

        self.client = httpx.Client(
            limits=httpx.Limits(max_connections=SIZE, max_keepalive_connections=SIZE), timeout=PATIENCE)

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
    """A client for all requests, which never wait for a connection."""

    def __init__(self):
        import httpx

        self.client = httpx.Client(
            limits=httpx.Limits(max_connections=None, max_keepalive_connections=SIZE), timeout=PATIENCE)
