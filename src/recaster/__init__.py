"""Recaster: recasts a short vertical video for a brand. The rooms are described in docs/architecture.md."""

__version__ = "0.1.0"
