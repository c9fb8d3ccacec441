"""The stages as they run in a child process: a JSON request in, a JSON result out. See `recaster.remix.child`."""
