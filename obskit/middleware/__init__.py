"""Watches requests: protocols in `asgi` and `wsgi`, frameworks in `fastapi`, `starlette` and `flask`."""
