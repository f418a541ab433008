"""The worker: the one process or thread that drives an engine."""
