"""One file a service; its name is the pack's, with dashes. Each has a `Settings` and a `PACK`."""
