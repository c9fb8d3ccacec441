"""Pixels, sound and words: a library that anyone can import. It knows no database, no HTTP and no accounts."""
