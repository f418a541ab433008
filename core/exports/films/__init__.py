"""Films of stored runs, kept on disk: reels of decoded frames, and the films cut of them."""
