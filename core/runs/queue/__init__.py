"""The queue: jobs and their cells, and whose turn it is."""
