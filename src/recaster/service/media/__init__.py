"""Uploaded pictures and videos: what they are, how large, and where they lie."""
