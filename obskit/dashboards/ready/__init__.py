"""Ready-made dashboards: what users feel on top, the causes below."""
