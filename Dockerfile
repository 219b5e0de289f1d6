# Of faust-streaming there is a wheel for amd64 alone; elsewhere it is compiled, in an image that has a compiler.
FROM python:3.11-slim AS wheels-amd64
FROM python:3.11 AS wheels-arm64
ENV COMPILED=faust-streaming

# Every file of the users' lock, checked against its hash; the broker's, which no worker needs, stay in this stage.
FROM wheels-${TARGETARCH} AS wheels
COPY constraints.txt .
RUN pip wheel --no-cache-dir --require-hashes --no-deps --only-binary :all: ${COMPILED:+--no-binary ${COMPILED}} \
        --wheel-dir /wheels --requirement constraints.txt

FROM python:3.11-slim AS worker
ENV PYTHONUNBUFFERED=1 CLICKWARDEN_DATA_DIR=/data
RUN useradd --system --uid 10001 clickwarden && install --directory --owner clickwarden /data
RUN --mount=type=bind,target=/src,rw --mount=type=bind,from=wheels,source=/wheels,target=/wheels \
    pip install --no-cache-dir --no-index --find-links /wheels /src
WORKDIR /srv/clickwarden
COPY rules.toml .
USER clickwarden
VOLUME /data
EXPOSE 6066
# Whether it lives, and not /ready: a worker that waits for Kafka, or can read nothing, gains nothing by a restart.
HEALTHCHECK --interval=10s --timeout=3s --start-period=60s --start-interval=1s CMD \
    ["python", "-c", "from urllib.request import urlopen; urlopen('http://127.0.0.1:6066/health', timeout=2)"]
CMD ["faust", "-A", "app", "worker", "-l", "info"]

# docker compose up capture: PostgreSQL, Debezium's runtime and what learns, and the pipeline with its sample.
FROM worker AS capture
USER root
RUN --mount=type=bind,source=constraints-capture.txt,target=/constraints.txt \
    pip install --no-cache-dir --require-hashes --no-deps --only-binary :all: --requirement /constraints.txt
COPY pipelines/fraud pipelines/fraud
USER clickwarden
ENV HOME=/data
CMD ["faust", "-A", "app", "demo", "--capture"]

FROM worker
