"""What a grid supports: its cells as statistics see them, and files of what is found."""
