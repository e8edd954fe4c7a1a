"""Clients of databases, each with a pool of a few connections, as an application uses them."""

from __future__ import annotations

import os
import queue
import socket
from contextlib import closing, contextmanager

from cancelled_client import PATIENCE, SIZE, SMALL_BUFFER, Client, held, hub_semaphore

#: The directory of the server, which has its Unix socket.
DIRECTORY = os.environ.get("SERVER_DIRECTORY", "")


def limit_buffer(connection):
    """Let the kernel buffer little of what *connection* sends."""
    number = connection.fileno() if hasattr(connection, "fileno") else connection._sock.fileno()
    with socket.fromfd(number, socket.AF_UNIX, socket.SOCK_STREAM) as copy:
        copy.setsockopt(*SMALL_BUFFER)


class Redis(Client):
    packages = ("redis",)

    def __init__(self):
        import redis

        class Connection(redis.UnixDomainSocketConnection):
            def _connect(self):
                sock = super()._connect()
                limit_buffer(sock)
                return sock

        self.pool = redis.BlockingConnectionPool(
            connection_class=Connection, path=f"{DIRECTORY}/socket", max_connections=SIZE,
            timeout=PATIENCE, decode_responses=True)
        self.redis = redis.Redis(connection_pool=self.pool)
        # It looks this often per second whether the time of a BLPOP is over.
        self.redis.config_set("hz", 500)

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


class EachSql(Sql):
    """A connection for each request, and a semaphore that limits their number."""

    def __init__(self):
        self.semaphore = hub_semaphore()
        self.create_table()

    @contextmanager
    def lend(self):
        with held(self.semaphore), closing(self.connect()) as connection:
            limit_buffer(connection)
            yield connection


class Psycopg2(EachSql):
    packages = ("psycopg2-binary",)

    def connect(self):
        import psycopg2

        return psycopg2.connect(host=DIRECTORY, user="postgres")


class Psycopg2Pool(Sql):
    """psycopg2's own pool, and a semaphore, because this pool does not wait."""

    packages = ("psycopg2-binary",)
    size = 4 * SIZE

    def __init__(self):
        import psycopg2.pool

        self.pool = psycopg2.pool.ThreadedConnectionPool(1, self.size, host=DIRECTORY, user="postgres")
        self.semaphore = hub_semaphore(self.size)
        self.create_table()

    @contextmanager
    def lend(self):
        with held(self.semaphore):
            connection = self.pool.getconn()
            try:
                yield connection
            finally:
                self.pool.putconn(connection)


class Psycopg(EachSql):
    packages = ("psycopg",)

    def connect(self):
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
        sqlalchemy.event.listen(self.engine, "connect", lambda connection, record: limit_buffer(connection))
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


class RawPsycopg2(SqlAlchemyPsycopg2):
    """The pool without the rest of SQLAlchemy."""

    sleep = Sql.sleep
    echo = Sql.echo
    write_two_rows = Sql.write_two_rows
    _number = Sql._number

    def lend(self):
        return closing(self.engine.raw_connection())


class RawPsycopg(RawPsycopg2, SqlAlchemyPsycopg):
    packages = SqlAlchemyPsycopg.packages
    url = SqlAlchemyPsycopg.url


class SqlAlchemyPyMySQL(SqlAlchemy):
    packages = ("sqlalchemy", "pymysql")
    sleep = "SELECT SLEEP(:seconds)"

    def url(self):
        return f"mysql+pymysql://root@/test?unix_socket={DIRECTORY}/socket&ssl_disabled=true"


class PyMySQL(EachSql):
    packages = ("pymysql",)
    sleep = "SELECT SLEEP(%s)"

    def connect(self):
        import pymysql

        return pymysql.connect(unix_socket=f"{DIRECTORY}/socket", user="root", database="test", read_timeout=PATIENCE,
                               ssl_disabled=True)


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
            limit_buffer(connection)
            yield connection
        finally:
            self.pool.put(connection)


class PyMySQLClosed(PyMySQLKept):
    """A pool that closes a connection after any exception."""

    @contextmanager
    def lend(self):
        connection = self.pool.get(timeout=PATIENCE)
        try:
            if not connection.open:
                connection.connect()
            limit_buffer(connection)
            yield connection
        except BaseException:
            if connection.open:
                connection.close()
            raise
        finally:
            self.pool.put(connection)
