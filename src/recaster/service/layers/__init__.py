"""Layers: the wiring from a social account to the influencer who speaks there."""
