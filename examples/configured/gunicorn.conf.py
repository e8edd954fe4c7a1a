"""All settings in a configuration file: run `gunicorn` in this directory, without arguments."""

from gworkers import GeventWorker

# The application of the example hello.
pythonpath = "../hello"
wsgi_app = "hello:create_app()"

# Without settings of gworkers: worker_class = "gworkers.GeventWorker".
worker_class = GeventWorker.configure(
    head_timeout=10,  # seconds for a whole request head, then 408
    request_greenlets="fresh",  # thread-locals do not outlive a request
)

# Gunicorn's own settings keep their names and their meaning.
bind = "127.0.0.1:8000"
workers = 2
worker_connections = 2000
keepalive = 30
