"""Measurements of the sources room."""
