"""Films of stored runs, kept on disk: decoded frames, and the films made from them."""
