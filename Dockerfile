# One image for web, worker and release, each with its command from the Procfile. docs/deploy.md says how to run it.
ARG BASE=python:3.11-slim-bookworm

FROM ${BASE} AS build
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
# The final image has no pip in /venv: the pip of the base image installs into it.
RUN python3 -m venv --without-pip /venv
WORKDIR /build
# What seldom changes comes first: a layer whose files are the same is taken from the cache.
COPY requirements.txt .
RUN pip --python /venv install --require-hashes --only-binary :all: -r requirements.txt
COPY pyproject.toml README.md LICENSE ./
COPY errand errand
RUN pip --python /venv install --no-deps --no-build-isolation .

FROM ${BASE}
# A number, because Kubernetes can't tell from a name that the user is not root. The user may write only to /data.
RUN useradd --uid 10001 --no-create-home --shell /usr/sbin/nologin errand && install -d -o errand -g errand /data
COPY --from=build /venv /venv
WORKDIR /app
COPY worker.py ./
COPY templates templates
COPY service service
COPY jobs jobs
ENV PATH=/venv/bin:$PATH PYTHONUNBUFFERED=1
USER 10001:10001
EXPOSE 8000
# `exec` makes uvicorn process 1, so that it gets SIGTERM itself; the shell is there for the platform's PORT.
CMD ["sh", "-c", "exec uvicorn --factory service.app:from_environment --host 0.0.0.0 --port ${PORT:-8000} --proxy-headers --timeout-graceful-shutdown 5 --http errand.api.bounds:Protocol"]
# For web; compose.yaml has the health check of the worker.
HEALTHCHECK --interval=10s --timeout=5s --start-period=20s \
    CMD ["python", "-c", "import os, urllib.request as u; u.urlopen(f\"http://127.0.0.1:{os.environ.get('PORT') or 8000}/livez\", timeout=4)"]
