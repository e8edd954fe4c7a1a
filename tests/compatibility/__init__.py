"""Frameworks and libraries under real use: with real servers and clients, on both hubs.

``python -m tests.compatibility`` runs these tests and prints which library was tested in which version.
``pytest -m servers`` runs them as tests only.
"""
