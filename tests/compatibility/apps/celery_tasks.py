"""The tasks of celery_app.py. The worker of Celery imports this module too: ``celery -A celery_tasks worker``."""

import os

from celery import Celery

REDIS = f"redis+socket://{os.environ['SERVER_SOCKET']}"

tasks = Celery("celery_tasks", broker=REDIS, backend=REDIS)


@tasks.task
def double(number):
    return 2 * number
