"""Reading lessons from their files."""
