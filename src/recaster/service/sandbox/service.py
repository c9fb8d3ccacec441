"""Where the sandbox's source lies. Everything after it is the real pipeline."""

from __future__ import annotations

import hashlib
from importlib import resources
from typing import Final

from recaster.infra.storage import ObjectStore, object_key

SOURCE_ID: Final = "src_sandbox"
"""What a container of the sandbox names as its source; no library holds it."""


def keep_source(objects: ObjectStore) -> dict[str, str]:
    """Put the built-in clip into the object store, unless it is there; return its `key` and `sha256`."""
    clip = (resources.files("recaster.service.sandbox") / "source.mp4").read_bytes()
    digest = hashlib.sha256(clip).hexdigest()
    key = object_key("sandbox", f"{digest}.mp4")
    objects.put_bytes(key, clip)
    return {"key": key, "sha256": digest}
