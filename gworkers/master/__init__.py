"""The arbiter's side: what runs in Gunicorn's master process."""
