"""Django, as in django_connections, with a query while the application is loaded."""

from django_connections import app, value

__all__ = ["app"]

value("select 1")
