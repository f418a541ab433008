"""AUTOMATIC1111's "parameters" text, written and read."""
