"""The model in the worker's memory, and those on their way to it."""
