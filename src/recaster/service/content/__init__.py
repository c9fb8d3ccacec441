"""Content: the containers that remixes fill, and their assets."""
