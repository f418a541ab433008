"""Blind comparison: what votes between two pictures say of the values of a sweep's axes."""
