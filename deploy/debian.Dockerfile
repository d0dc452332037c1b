# Redis and nginx of Debian, where no registry with their own images can be reached. See deploy/images.py.
ARG BASE_IMAGE
FROM ${BASE_IMAGE} AS redis
RUN apt-get update -qq && apt-get install -qq --no-install-recommends redis-server && rm -rf /var/lib/apt/lists/* \
    && mkdir /data && chown 999:999 /data

FROM ${BASE_IMAGE} AS nginx
RUN apt-get update -qq && apt-get install -qq --no-install-recommends nginx-light && rm -rf /var/lib/apt/lists/*
