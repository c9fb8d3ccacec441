"""Influencers: the people of a project whose face is put on a source, and whether they may be."""
