"""What ships: the bundled model's files, its contact sheets and its card."""
