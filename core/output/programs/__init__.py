"""The plain diffusers program and the notebook that make the same picture."""
