"""The one training loop, and the model's parts with random weights."""
