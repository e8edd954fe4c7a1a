"""`gworkers convert`: a gunicorn.conf.py from the configuration of uWSGI."""
