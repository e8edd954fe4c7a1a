"""Celery and RQ: requests enqueue, and a worker in a process of its own does what they ask for."""

from __future__ import annotations

import pytest

from support.burst import burst
from support.startup import findings


@pytest.fixture
def producers(library_app, database):
    """``producers("celery_app:app")``: a server whose broker is Redis."""
    return lambda app: library_app(app, env={"SERVER_SOCKET": str(database("redis").socket)})


def results(server, count):
    """Enqueue *count* numbers at once; return the responses that have their results."""
    ids = [response.text for response in burst(server, [f"/enqueue?{number}" for number in range(count)]).responses]
    assert len(set(ids)) == count
    return [response.text for response in burst(server, [f"/result?{name}" for name in ids]).responses]


@pytest.mark.library("celery", area="Task queues")
def test_celery_tasks_are_done(producers, program, database):
    """100 concurrent requests enqueue a task (Redis is the broker), and 100 others wait for the results."""
    server = producers("celery_app:app")
    program("celery", "-A", "celery_tasks", "worker", "--pool", "solo",
            env={"SERVER_SOCKET": str(database("redis").socket)})
    assert results(server, 100) == [str(2 * number) for number in range(100)]
    assert findings(server) == []


@pytest.mark.library("rq", area="Task queues")
def test_rq_jobs_are_done(producers, program, database):
    """100 concurrent requests enqueue a job, and 100 others wait for the results."""
    server = producers("rq_app:app")
    program("rq.cli", "worker", "--url", f"unix://{database('redis').socket}",
            "--worker-class", "rq.SimpleWorker")
    assert results(server, 100) == [str(2 * number) for number in range(100)]
    assert findings(server) == []
