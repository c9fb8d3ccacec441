"""The demo: makes its own source clip from pictures of a synthetic person, and sends one real remix over HTTP."""
