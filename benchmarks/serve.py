"""What uvicorn and gunicorn serve: `serve:app`, as ``BENCH_*`` in the environment asks for."""

import apps

app = apps.from_environ()
