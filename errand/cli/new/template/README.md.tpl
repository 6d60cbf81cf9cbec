# {{name}}

A job service, made with [Errand](https://pypi.org/project/rq-errand/): post a job over HTTP, a worker runs it.

## Run it

    python3 -m venv .venv && . .venv/bin/activate
    pip install -e '.[dev]'
    errand up

`errand up` runs everything on this machine until Ctrl-C: Redis, the API, a worker and the console, at
<http://127.0.0.1:8000/console>. Its docs are at <http://127.0.0.1:8000/docs>.

    errand send greet -f name=Ada --wait
    curl -X POST http://127.0.0.1:8000/welcome/Ada
    pytest

## Add a job

A job is a file in `jobs/` with a function `run` under `@job()`, as in `jobs/greet.py`; restart `errand up` after adding
one. Add what it imports to `dependencies` in `pyproject.toml`, then run `pip install -e '.[dev]'`. Endpoints are in
`service/endpoints.py`.

To send e-mail, add `jobs/email.py`, and set `SMTP_URL` and `MAIL_FROM` where you deploy:

```python
"""Send one e-mail over `SMTP_URL`."""

from errand.builtin import email

run = email.run.adopt(__name__)
```

## Deploy

The `Procfile` has `web`, `worker` and `release`; the `Dockerfile` builds one image for all three. Set `REDIS_URL` and
`API_KEYS` (a line that `errand key ops` prints). The release phase runs `errand check`, which says what is missing.

    docker build -t {{name}} .
    docker run -e REDIS_URL -e API_KEYS -p 8000:8000 {{name}}
    docker run -e REDIS_URL --stop-timeout 30 --no-healthcheck {{name}} rq worker -c worker -w worker.Worker

Any other folder or file that `service/` and `jobs/` import needs a `COPY` in `Dockerfile` and a line in `.dockerignore`.

## Update

`pip install --upgrade rq-errand`; beyond the range in `pyproject.toml`, change it there and run `pip install -e '.[dev]'`.
