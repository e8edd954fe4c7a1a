"""The configuration that Gunicorn reads in this directory."""

import multiprocessing

from gworkers import GeventWorker

wsgi_app = "documents.wsgi:application"
workers = multiprocessing.cpu_count()
# For async views: see docs/asyncio.md.
worker_class = GeventWorker.configure(asyncio_thread=True)
accesslog = "-"
