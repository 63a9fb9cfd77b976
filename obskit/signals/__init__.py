"""What the app says about itself: context, traces, metrics, logs, error reports, and how they leave the process."""
