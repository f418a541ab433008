"""Plain data to files and figures. Takes data, never an engine or a store."""
