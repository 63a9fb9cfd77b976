"""Settings of gunicorn for the demo's shop. Read by gunicorn, which passes over names that it does not know."""

from __future__ import annotations

workers = 2
worker_class = "gthread"
threads = 4
control_socket_disable = True  # since 25; it would leave a folder in the user's home
