"""Gunicorn in a container."""

from gworkers import GeventWorker

wsgi_app = "webapp:app"
bind = "0.0.0.0:8000"
workers = 2
# The default is a file in /tmp, which may be on a disk. A heartbeat that waits for a disk is late.
worker_tmp_dir = "/dev/shm"
# "docker stop" sends KILL after 10 s: use "docker stop --time 40".
graceful_timeout = 30
# The user has no home directory.
control_socket_disable = True
accesslog = "-"
worker_class = GeventWorker.configure(status_address="127.0.0.1:9000")
