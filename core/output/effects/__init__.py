"""What a grid supports: differences paired by seed, shares of variance, and their words."""
