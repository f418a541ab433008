"""A labelled grid as one picture or PDF."""
