"""Burned-in text of short videos: find, read, describe, erase and draw."""
