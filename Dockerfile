# Every image of this project, a target each: gateway, semantics, reasoner, perception, embedded-engine, eval.
#
#   docker build --target gateway -t dtwinseger-gateway .        (all of them: make images)
#
# BASE_IMAGE is a Debian with python3, 3.11 to 3.13; for a release name it by digest (…@sha256:…). All else is as uv.lock has it.
# Behind a proxy with certificates of its own: --secret id=ca,src=/etc/ssl/certs/ca-certificates.crt
# No image holds weights: mount them at /app/models, read-only.
ARG BASE_IMAGE=python:3.11-slim-bookworm

# What installs; it is mounted where it is needed, and is in no image.
FROM ${BASE_IMAGE} AS installer
ARG UV_VERSION=0.13.9
RUN --mount=type=secret,id=ca \
    if [ -f /run/secrets/ca ]; then export PIP_CERT=/run/secrets/ca; fi; \
    if ! python3 -c "import ensurepip"; then apt-get update -qq && apt-get install -qq --no-install-recommends python3-venv; fi; \
    python3 -m venv /uv && /uv/bin/pip install --no-cache-dir --disable-pip-version-check uv==${UV_VERSION} \
    && mkdir /installer && cp /uv/bin/uv /installer
COPY deploy/install pyproject.toml uv.lock /installer/

# This project alone, as a wheel.
FROM installer AS wheel
WORKDIR /src
COPY pyproject.toml README.md ./
COPY dtwinseger dtwinseger
COPY gateway gateway
COPY services services
COPY embedded embedded
COPY training training
COPY benchmarks benchmarks
RUN --mount=type=secret,id=ca \
    if [ -f /run/secrets/ca ]; then export SSL_CERT_FILE=/run/secrets/ca; fi; \
    /installer/uv build --no-cache --wheel --out-dir /wheel

# What all share: a user without rights, and a root file system that may be read-only, with a tmpfs at /tmp.
FROM ${BASE_IMAGE} AS runtime
RUN useradd --uid 10001 --no-create-home --home-dir /tmp --shell /usr/sbin/nologin dtwinseger \
    && rm -rf /usr/local/bin/pip* /usr/local/lib/python3.*/site-packages/pip* \
    && mkdir -p /app/models /data && chown dtwinseger /data
COPY deploy/healthy.py /usr/local/lib/healthy.py
WORKDIR /app
# GRACE_S: seconds that requests in flight have to finish after SIGTERM.
ENV PATH=/app/.venv/bin:$PATH HOME=/tmp PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 GRACE_S=30

FROM runtime AS gateway
RUN --mount=type=bind,from=installer,source=/installer,target=/installer \
    --mount=type=cache,target=/var/cache/uv --mount=type=secret,id=ca /installer/install gateway
RUN --mount=type=bind,from=installer,source=/installer,target=/installer \
    --mount=type=bind,from=wheel,source=/wheel,target=/wheel /installer/install /wheel/*.whl
ARG VERSION=unknown
ARG REVISION=unknown
LABEL org.opencontainers.image.title="dtwinseger gateway" \
      org.opencontainers.image.description="Reasoning segmentation: the public API and the inspector" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" org.opencontainers.image.revision="${REVISION}"
ENV GATEWAY_STORE_URL=sqlite:////data/twins.sqlite
USER 10001:10001
EXPOSE 8080
HEALTHCHECK --interval=5s --timeout=5s --start-period=120s CMD ["python3", "/usr/local/lib/healthy.py", "8080/readyz"]
CMD ["sh", "-c", "exec uvicorn --factory gateway.app:create --host 0.0.0.0 --port 8080 --no-access-log --timeout-graceful-shutdown ${GRACE_S}"]

FROM runtime AS semantics
RUN --mount=type=bind,from=installer,source=/installer,target=/installer \
    --mount=type=cache,target=/var/cache/uv --mount=type=secret,id=ca /installer/install semantics
RUN --mount=type=bind,from=installer,source=/installer,target=/installer \
    --mount=type=bind,from=wheel,source=/wheel,target=/wheel /installer/install /wheel/*.whl
ARG VERSION=unknown
ARG REVISION=unknown
LABEL org.opencontainers.image.title="dtwinseger semantics" \
      org.opencontainers.image.description="Reasoning segmentation: granularity and descriptions, by a vision-language model elsewhere" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" org.opencontainers.image.revision="${REVISION}"
USER 10001:10001
EXPOSE 8082
HEALTHCHECK --interval=5s --timeout=5s --start-period=120s CMD ["python3", "/usr/local/lib/healthy.py", "8082/readyz"]
CMD ["sh", "-c", "exec uvicorn --factory services.semantics.app:create --host 0.0.0.0 --port 8082 --no-access-log --timeout-graceful-shutdown ${GRACE_S}"]

FROM runtime AS reasoner
RUN --mount=type=bind,from=installer,source=/installer,target=/installer \
    --mount=type=cache,target=/var/cache/uv --mount=type=secret,id=ca /installer/install reasoner
RUN --mount=type=bind,from=installer,source=/installer,target=/installer \
    --mount=type=bind,from=wheel,source=/wheel,target=/wheel /installer/install /wheel/*.whl
ARG VERSION=unknown
ARG REVISION=unknown
LABEL org.opencontainers.image.title="dtwinseger reasoner" \
      org.opencontainers.image.description="Reasoning segmentation: answers over the twin, by a language model elsewhere" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" org.opencontainers.image.revision="${REVISION}"
USER 10001:10001
EXPOSE 8083
HEALTHCHECK --interval=5s --timeout=5s --start-period=120s CMD ["python3", "/usr/local/lib/healthy.py", "8083/readyz"]
CMD ["sh", "-c", "exec uvicorn --factory services.reasoner.app:create --host 0.0.0.0 --port 8083 --no-access-log --timeout-graceful-shutdown ${GRACE_S}"]

# The command line with `eval`, for jobs such as those of k8s/eval.
FROM runtime AS eval
RUN --mount=type=bind,from=installer,source=/installer,target=/installer \
    --mount=type=cache,target=/var/cache/uv --mount=type=secret,id=ca /installer/install eval
RUN --mount=type=bind,from=installer,source=/installer,target=/installer \
    --mount=type=bind,from=wheel,source=/wheel,target=/wheel /installer/install /wheel/*.whl
ARG VERSION=unknown
ARG REVISION=unknown
LABEL org.opencontainers.image.title="dtwinseger eval" \
      org.opencontainers.image.description="Reasoning segmentation: the command line and the evaluation" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" org.opencontainers.image.revision="${REVISION}"
USER 10001:10001
CMD ["dtwinseger", "--help"]

# Torch as the lock has it, with CUDA's libraries: one layer for the two images that hold a network.
FROM runtime AS torch
RUN --mount=type=bind,from=installer,source=/installer,target=/installer \
    --mount=type=cache,target=/var/cache/uv --mount=type=secret,id=ca /installer/install torch

FROM torch AS perception
RUN --mount=type=bind,from=installer,source=/installer,target=/installer \
    --mount=type=cache,target=/var/cache/uv --mount=type=secret,id=ca /installer/install perception
RUN --mount=type=bind,from=installer,source=/installer,target=/installer \
    --mount=type=bind,from=wheel,source=/wheel,target=/wheel /installer/install /wheel/*.whl
ARG VERSION=unknown
ARG REVISION=unknown
LABEL org.opencontainers.image.title="dtwinseger perception" \
      org.opencontainers.image.description="Reasoning segmentation: mask proposals by SAM, on CUDA or the CPU" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" org.opencontainers.image.revision="${REVISION}"
ENV NVIDIA_VISIBLE_DEVICES=all NVIDIA_DRIVER_CAPABILITIES=compute,utility
USER 10001:10001
EXPOSE 8081
HEALTHCHECK --interval=5s --timeout=5s --start-period=300s CMD ["python3", "/usr/local/lib/healthy.py", "8081/readyz"]
CMD ["sh", "-c", "exec uvicorn --factory services.perception.app:create --host 0.0.0.0 --port 8081 --no-access-log --timeout-graceful-shutdown ${GRACE_S}"]

# The bundled language models on a CPU. It runs nothing of ours.
FROM torch AS embedded-engine
RUN --mount=type=bind,from=installer,source=/installer,target=/installer \
    --mount=type=cache,target=/var/cache/uv --mount=type=secret,id=ca /installer/install engine
ARG VERSION=unknown
ARG REVISION=unknown
LABEL org.opencontainers.image.title="dtwinseger embedded engine" \
      org.opencontainers.image.description="Reasoning segmentation: the bundled language models, served on a CPU" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" org.opencontainers.image.revision="${REVISION}"
ENV HF_HUB_CACHE=/tmp/hub HF_HUB_OFFLINE=1
USER 10001:10001
EXPOSE 8090
HEALTHCHECK --interval=5s --timeout=5s --start-period=300s CMD ["python3", "/usr/local/lib/healthy.py", "8090/health"]
CMD ["sh", "-c", "mkdir -p ${HF_HUB_CACHE} && exec transformers serve --host 0.0.0.0 --port 8090 --device cpu --dtype float32 --model-timeout -1"]
