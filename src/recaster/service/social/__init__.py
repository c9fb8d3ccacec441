"""Social accounts: where a project publishes."""
