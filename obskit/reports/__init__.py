"""What AI calls used and cost: read from Cloud Monitoring or a local backend, counted, and written down."""
