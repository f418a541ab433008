"""ComfyUI's graphs, read."""
