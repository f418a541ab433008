"""A model's files: what weights and configurations say, and what is refused."""
