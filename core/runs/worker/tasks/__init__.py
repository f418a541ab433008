"""Named tasks, as the worker runs them."""
