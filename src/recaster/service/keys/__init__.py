"""API keys: who may ask for what, proven without ever storing the secret."""
