# One image for web, worker and release: each is a command of it, as in the Procfile. README.md shows how to run it.
ARG BASE=python:3.11-slim-bookworm

FROM ${BASE} AS build
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
# No pip in the final image: the base image's installs into it.
RUN python3 -m venv --without-pip /venv
WORKDIR /build
# What seldom changes comes first: a layer whose files are the same is taken from the last build.
COPY requirements.txt pyproject.toml ./
RUN pip --python /venv install -r requirements.txt

FROM ${BASE}
# A number, since Kubernetes can't tell that a name isn't root's. /data is the one folder that it may write to.
RUN useradd --uid 10001 --no-create-home --shell /usr/sbin/nologin errand && install -d -o errand -g errand /data
COPY --from=build /venv /venv
WORKDIR /app
COPY worker.py ./
COPY service service
COPY jobs jobs
ENV PATH=/venv/bin:$PATH PYTHONUNBUFFERED=1
USER 10001:10001
EXPOSE 8000
# `exec`: uvicorn is process 1 and hears SIGTERM itself; the shell is there for the platform's PORT.
CMD ["sh", "-c", "exec uvicorn --factory service.app:from_environment --host 0.0.0.0 --port ${PORT:-8000} --proxy-headers --timeout-graceful-shutdown 5 --http errand.api.bounds:Protocol"]
# Of web; a worker's container has none: docker run --no-healthcheck
HEALTHCHECK --interval=10s --timeout=5s --start-period=20s \
    CMD ["python", "-c", "import os, urllib.request as u; u.urlopen(f\"http://127.0.0.1:{os.environ.get('PORT') or 8000}/livez\", timeout=4)"]
