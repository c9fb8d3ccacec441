"""Credits: a wallet per organization over an append-only double-entry ledger."""
