"""What is raised where a model cannot be used."""

from __future__ import annotations


class ModelError(Exception):
    """A model that cannot be used; the message says what is wrong and what to do next."""


class IncompleteError(ModelError):
    """A model that is not here, or not all of it: downloading it may help."""
