"""The HTTP frame around the services: routing, authentication, errors, rate limits, paging. It holds no rules."""
