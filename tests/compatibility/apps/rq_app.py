"""RQ: requests that enqueue a job, and requests that get its result."""

import os
import time

from app_support import answer, route_by_name
from redis import Redis
from rq import Queue
from rq.job import Job
from rq_jobs import double

CONNECTION = Redis.from_url(f"unix://{os.environ['SERVER_SOCKET']}")
QUEUE = Queue(connection=CONNECTION)


def enqueue(environ, start_response):
    """/enqueue?NUMBER gets the id of the job"""
    return answer(start_response, QUEUE.enqueue(double, int(environ["QUERY_STRING"])).id.encode())


def result(environ, start_response):
    """/result?ID waits for the result"""
    job = Job.fetch(environ["QUERY_STRING"], connection=CONNECTION)
    while job.get_status() != "finished":
        time.sleep(0.05)
    return answer(start_response, str(job.return_value()).encode())


app = route_by_name(globals())
