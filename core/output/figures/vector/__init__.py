"""Figures as shapes, which a page and a PDF draw as vectors without any script."""
