"""The addresses."""

from django.contrib import admin
from django.urls import path

from documents import views

urlpatterns = [
    path("", views.index),
    path("admin/", admin.site.urls),
    path("visits", views.visits),
    path("upload", views.upload),
    path("export", views.export),
    path("latest", views.latest),
    path("slow", views.slow),
]
