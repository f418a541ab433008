"""The store: every image once, its files, and the index of both."""

from core.runs.store.database import StoreError
from core.runs.store.store import Store

__all__ = ["Store", "StoreError"]
