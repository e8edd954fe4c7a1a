"""The tables."""

from django.db import models


class Document(models.Model):
    """A file that was uploaded. Only its properties are kept."""

    name = models.CharField(max_length=200)
    size = models.PositiveBigIntegerField()
    sha256 = models.CharField(max_length=64)
    uploaded = models.DateTimeField(auto_now_add=True)

    def __str__(self) -> str:
        return self.name
