"""Pools of asynchronous connections to PostgreSQL in DATABASE_DIRECTORY, which all requests share.

``/USE?NUMBER`` returns the number from the database, ``/USE?NUMBER&SECONDS`` after some
time, with a deadline of 0.3 seconds.
"""

import asyncio
import os

from app_support import answer

import gworkers

DIRECTORY = os.environ["DATABASE_DIRECTORY"]
SIZE = 20
URL = f"://postgres@/postgres?host={DIRECTORY}"
pools = {}


class Asyncpg:
    @classmethod
    async def create(cls):
        import asyncpg

        self = cls()
        self.pool = await asyncpg.create_pool(host=DIRECTORY, user="postgres", min_size=0, max_size=SIZE)
        return self

    async def query(self, number, seconds):
        async with self.pool.acquire() as connection:
            return await connection.fetchval(f"select {number} from pg_sleep({seconds})")


class Psycopg:
    @classmethod
    async def create(cls):
        from psycopg_pool import AsyncConnectionPool

        self = cls()
        self.pool = AsyncConnectionPool(f"host={DIRECTORY} user=postgres", min_size=1, max_size=SIZE, open=False)
        await self.pool.open()
        return self

    async def query(self, number, seconds):
        async with self.pool.connection() as connection:
            cursor = await connection.execute(f"select {number} from pg_sleep({seconds})")
            return (await cursor.fetchone())[0]


class SqlAlchemy:
    def __init__(self, driver):
        self.driver = driver

    async def create(self):
        from sqlalchemy.ext.asyncio import create_async_engine

        self.engine = create_async_engine(f"postgresql+{self.driver}{URL}", pool_size=SIZE, max_overflow=0)
        return self

    async def query(self, number, seconds):
        from sqlalchemy import text

        async with self.engine.connect() as connection:
            return (await connection.execute(text(f"select {number} from pg_sleep({seconds})"))).scalar_one()


USES = {"asyncpg_pool": Asyncpg, "psycopg_pool": Psycopg, "sqlalchemy_asyncpg": SqlAlchemy("asyncpg"),
        "sqlalchemy_psycopg": SqlAlchemy("psycopg")}


async def run(use, number, seconds):
    if use not in pools:
        pools[use] = asyncio.ensure_future(USES[use].create())
    pool = await asyncio.shield(pools[use])
    return await pool.query(number, seconds)


def app(environ, start_response):
    use = environ["PATH_INFO"][1:]
    if use == "connections":
        # Of this server's own pool, so without the one that counts.
        (use,) = pools
        number, seconds = ("(select count(*) from pg_stat_activity where backend_type = 'client backend')", "0")
    else:
        number, _, seconds = environ["QUERY_STRING"].partition("&")
        if seconds:
            environ["gworkers.deadline"](0.3)
    return answer(start_response, str(gworkers.run_async(run(use, number, seconds or 0.05))).encode())
