# The demo: docker build -t zofbot . && docker run --rm --no-healthcheck -p 8080:8080 zofbot demo
# The bot:  docker build -t zofbot . && docker run --rm --name zofbot --read-only --tmpfs /tmp -v zofbot:/data --env-file .env -p 3000:3000 zofbot
#
# The base image is referenced by tag. To pin it, look up the digest (`docker buildx imagetools inspect python:3.11-slim`) and
# build with `--build-arg BASE=python:3.11-slim@sha256:…`, which both stages use.
ARG BASE=python:3.11-slim

FROM ${BASE} AS build
WORKDIR /src
COPY pyproject.toml requirements.txt README.md LICENSE ./
COPY zofbot zofbot
# Every installed file must match a hash in requirements.txt; zofbot itself is built with the setuptools listed there.
RUN python -m venv /opt/zofbot \
    && /opt/zofbot/bin/pip install --no-cache-dir --require-hashes --requirement requirements.txt \
    && /opt/zofbot/bin/pip install --no-cache-dir --no-deps --no-build-isolation . \
    && /opt/zofbot/bin/pip uninstall --yes setuptools

FROM ${BASE}
COPY --from=build /opt/zofbot /opt/zofbot
RUN install -d -o 10001 -g 10001 -m 700 /data
ENV PATH=/opt/zofbot/bin:$PATH PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1 \
    HOST=0.0.0.0 PORT=3000 DEMO_HOST=0.0.0.0 ZOFBOT_DATA_DIR=/data
USER 10001:10001
VOLUME /data
EXPOSE 3000 8080
# For `run` and `web`, and past any HTTP_PROXY. Start a worker and the demo with --no-healthcheck, and watch a worker's ZOFBOT_METRICS_PORT.
HEALTHCHECK --interval=30s --timeout=5s --start-period=20s \
    CMD ["python", "-c", "import http.client, os; bot = http.client.HTTPConnection('127.0.0.1', int(os.environ['PORT']), timeout=3); bot.request('GET', '/healthz'); raise SystemExit(bot.getresponse().status != 200)"]
ENTRYPOINT ["zofbot"]
CMD ["run"]
