"""Stored runs and sweeps as files: sheets, films, reports, archives."""
