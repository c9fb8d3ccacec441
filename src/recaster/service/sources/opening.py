"""Opens the finder that the settings describe, with the egress proxy that it goes out through. One per process."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from recaster.infra.database import Database
from recaster.infra.egress_proxy import EgressProxy
from recaster.infra.sealing import Sealer
from recaster.infra.settings import Settings
from recaster.infra.storage import ObjectStore
from recaster.service.fetching.folder import FolderFetcher
from recaster.service.fetching.library import LibraryFetcher
from recaster.service.fetching.protocol import SourceFetcher
from recaster.service.fetching.secrets import read_cookies
from recaster.service.fetching.ytdlp import YtDlpFetcher, YtDlpOptions, source_profiles
from recaster.service.sources.finding import SourceFinder


@contextmanager
def open_finder(
    settings: Settings, database: Database, storage: ObjectStore, *, proxy: EgressProxy | None = None
) -> Iterator[SourceFinder]:
    """Open a finder for the time of the block. `proxy`: one with the profiles of `source_profiles` that runs already."""

    def local(organization_id: str) -> tuple[SourceFetcher, ...]:
        library = LibraryFetcher(database, storage, organization_id)
        return (library, FolderFetcher(settings.source_folder)) if settings.source_folder else (library,)

    if settings.source_fetcher == "library":
        yield SourceFinder(settings, database, local=local, platform=None)
        return

    sealer = Sealer(settings.sealing_keys())

    def options() -> YtDlpOptions:
        with database.system_read() as session:
            return YtDlpOptions.from_settings(settings, read_cookies(session, sealer))

    profiles = source_profiles(settings)
    own = None if proxy is not None else EgressProxy(profiles, allowed=settings.open_networks()).start()
    try:
        running = proxy or own
        assert running is not None
        fetcher = YtDlpFetcher(settings, running, options=options, ways=tuple(profile.name for profile in profiles))
        yield SourceFinder(settings, database, local=local, platform=fetcher)
    finally:
        if own is not None:
            own.close()
