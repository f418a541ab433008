"""A labelled grid as one picture or PDF: layout, fonts, painting, and the sweep inside the file."""
