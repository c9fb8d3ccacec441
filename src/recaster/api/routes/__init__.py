"""One module per domain; each has a `routes: Routes` that `recaster.api.app` includes."""
