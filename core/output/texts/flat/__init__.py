"""Tools that write one JSON object of settings."""
