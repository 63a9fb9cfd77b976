"""One destination a file; each has `create(config, resource)`, which the export thread calls."""
