"""Jobs: what is being worked on, how far it is, how it ended."""
