"""asyncpg with its pool, in the asyncio loop of the worker. A request gets its own number back: ``/?number``."""

import asyncio
import os

import asyncpg
from app_support import answer

import gworkers

POOL = None
LOCK = asyncio.Lock()


async def pool():
    """Return the pool, which belongs to the loop of the worker."""
    global POOL
    async with LOCK:
        if POOL is None:
            POOL = await asyncpg.create_pool(
                host=os.environ["SERVER_DIRECTORY"], user="postgres", min_size=100, max_size=100)
    return POOL


async def wait(number):
    """Wait 100 ms in PostgreSQL, and return *number*."""
    return await (await pool()).fetchval("SELECT $1::text FROM pg_sleep(0.1)", number)


def app(environ, start_response):
    return answer(start_response, gworkers.run_async(wait(environ["QUERY_STRING"])).encode())
