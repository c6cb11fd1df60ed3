# syntax=docker/dockerfile:1

# One image with all four programs; docker-compose.yml says which one a container runs.

FROM rust:1.95-bookworm AS build
WORKDIR /src
# There is no database during the build: the queries are checked against the committed .sqlx.
ENV SQLX_OFFLINE=true
COPY . .
# The cache mounts are gone after this step, so the binaries are copied out within it.
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/usr/local/cargo/git \
    --mount=type=cache,target=/src/target \
    cargo build --release --locked --bins -p api -p worker -p sandbox -p ops \
    && mkdir /out \
    && cp target/release/billing target/release/billing-api target/release/billing-worker \
       target/release/toss-sandbox /out/

FROM debian:bookworm-slim
RUN apt-get update \
    && apt-get install -y --no-install-recommends ca-certificates \
    && rm -rf /var/lib/apt/lists/*
COPY --from=build /out/billing /out/billing-api /out/billing-worker /out/toss-sandbox /usr/local/bin/
USER 10001:10001
# Each program has --help, and stops on SIGTERM after the requests and jobs in progress.
CMD ["billing", "--help"]
