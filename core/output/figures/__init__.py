"""Plotly figures, and tensors as pictures."""
