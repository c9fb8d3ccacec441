"""Remixes: accepting the request this product exists for."""
