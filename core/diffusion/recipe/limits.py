"""The bounds of settings that others ask for by name."""

MAX_SEED = 2**32 - 1
MAX_STEPS = 1000
MAX_SIDE = 4096
MIN_SIDE = 8
MAX_GUIDANCE = 100.0
MAX_CHANNEL = 15
MAX_ROWS = 32
"""UNet rows of a batch that go together, at most."""
MAX_TEXT = 20_000
"""Characters of a prompt or another text: a text encoder reads some hundred of them."""


def nearest_side(side: int, factor: int) -> int:
    """Return the side nearest to one in pixels that is a whole number of latents' places."""
    return min(max(round(side / factor) * factor, factor), MAX_SIDE // factor * factor)
