"""Which source to remix next: ranking of a project's library."""
