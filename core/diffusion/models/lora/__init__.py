"""LoRAs: which files are here, what their layers are, and switching them on in a loaded model."""
