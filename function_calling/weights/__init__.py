"""Model files: which one, its SHA-256, and where it can be had from."""
