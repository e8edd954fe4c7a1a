"""Celery: requests that enqueue a task, and requests that get its result."""

from app_support import answer, route_by_name
from celery_tasks import double


def enqueue(environ, start_response):
    """/enqueue?NUMBER gets the id of the task"""
    return answer(start_response, double.delay(int(environ["QUERY_STRING"])).id.encode())


def result(environ, start_response):
    """/result?ID waits for the result"""
    found = double.AsyncResult(environ["QUERY_STRING"]).get(timeout=30)
    return answer(start_response, str(found).encode())


app = route_by_name(globals())
