"""Organizations: whose things everything is."""
