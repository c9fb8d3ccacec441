"""Projects: what a brand is called, how it speaks, and what it may and must say."""
