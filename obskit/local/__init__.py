"""The local backend: Google's APIs and OTLP on loopback, alert evaluation, notifications and a web UI."""
