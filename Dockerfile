# docker build -t zofbot . && docker run --read-only --tmpfs /tmp -v zofbot:/data --env-file zofbot.env -p 3000:3000 zofbot
# The base image is named by tag here, because a digest is only worth what whoever wrote it down has checked. Pin it where
# you build: `docker buildx imagetools inspect python:3.11-slim` prints the digest, and
# `docker build --build-arg BASE=python:3.11-slim@sha256:… .` uses it for both stages.
ARG BASE=python:3.11-slim

FROM ${BASE} AS build
WORKDIR /src
COPY pyproject.toml requirements.txt README.md ./
COPY zofbot zofbot
# Each file that is installed has to have a hash of requirements.txt; zofbot itself is built with the setuptools of there.
RUN python -m venv /opt/zofbot \
    && /opt/zofbot/bin/pip install --no-cache-dir --require-hashes --requirement requirements.txt \
    && /opt/zofbot/bin/pip install --no-cache-dir --no-deps --no-build-isolation . \
    && /opt/zofbot/bin/pip uninstall --yes setuptools

FROM ${BASE}
COPY --from=build /opt/zofbot /opt/zofbot
RUN install -d -o 10001 -g 10001 -m 700 /data
ENV PATH=/opt/zofbot/bin:$PATH PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1 \
    HOST=0.0.0.0 PORT=3000 ZOFBOT_DATA_DIR=/data
USER 10001:10001
VOLUME /data
EXPOSE 3000
# For `run` and `web`; start a worker with --no-healthcheck, and watch its ZOFBOT_METRICS_PORT.
HEALTHCHECK --interval=30s --timeout=5s --start-period=20s \
    CMD ["python", "-c", "import os, urllib.request; urllib.request.urlopen(f'http://127.0.0.1:{os.environ[\"PORT\"]}/healthz', timeout=3)"]
ENTRYPOINT ["zofbot"]
CMD ["run"]
