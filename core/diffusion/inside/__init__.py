"""A run taken apart: every tensor, another branch, attention, classical mistakes."""
