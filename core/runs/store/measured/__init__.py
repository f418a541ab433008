"""Numbers of pictures, kept by their digests."""
