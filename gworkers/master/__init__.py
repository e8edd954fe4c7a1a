"""The code that runs in Gunicorn's master process."""
