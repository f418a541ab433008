"""Frames and films."""
