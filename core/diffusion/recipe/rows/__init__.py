"""The rows of SETTINGS, by what they are about."""
