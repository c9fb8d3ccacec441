"""What a whole remix costs, against a bare transcode of the same clip."""
