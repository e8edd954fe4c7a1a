"""SQLAlchemy's pool, configured by DATABASE_URL and POOL_SIZE. SLEEP is the database's function that waits.

``/sleep?number`` waits 100 ms in the database, and gets its own number back. ``/count`` gets the number of connections
that the pool has at PostgreSQL.
"""

import os

from app_support import answer, route_by_name
from sqlalchemy import create_engine, text

ENGINE = create_engine(
    os.environ["DATABASE_URL"], pool_size=int(os.environ["POOL_SIZE"]), max_overflow=0, pool_timeout=60)
SLEEP = text(f"SELECT :number, {os.environ['SLEEP']}(0.1)")
COUNT = text("SELECT count(*) FROM pg_stat_activity WHERE application_name = 'pool'")


def sleep(environ, start_response):
    with ENGINE.connect() as connection:
        number, _ = connection.execute(SLEEP, {"number": environ["QUERY_STRING"]}).one()
    return answer(start_response, number.encode())


def count(environ, start_response):
    with ENGINE.begin() as connection:
        count = connection.execute(COUNT).scalar_one()
        connection.execute(text("SELECT pg_sleep(0.01)"))
    return answer(start_response, str(count).encode())


app = route_by_name(globals())
