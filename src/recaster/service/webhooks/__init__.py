"""Webhooks: what happened, told to those who asked, until they have heard it or every try is used up."""
