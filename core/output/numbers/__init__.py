"""Numbers of pictures and steps, as values and as tables."""
