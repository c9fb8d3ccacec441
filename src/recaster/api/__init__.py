"""The HTTP frame around the services: routing, authentication, errors, idempotency, rate limits, paging. It holds no rules."""
