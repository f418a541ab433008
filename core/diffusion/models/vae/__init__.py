"""VAEs of other files and folders in place of a model's own: which are here, and loading them."""
