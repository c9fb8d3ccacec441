"""Fetchers: how a TikTok id becomes a local file, and what a platform's answer means.

`SourceFetcher` is the protocol; the library, the operator's folder and yt-dlp are its implementations. They know nothing
of projects, jobs and rights: `recaster.service.sources` does.
"""
