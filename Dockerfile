# Built where the toolchain is, run where nothing is but the program.

FROM rust:1-bookworm AS build
WORKDIR /src
COPY Cargo.toml Cargo.lock ./
COPY .cargo .cargo
COPY src src
# the manifest names them
COPY benches benches
RUN cargo build --release --locked

FROM debian:bookworm-slim
# /run/loginward is for unix sockets.
RUN useradd --uid 10001 --user-group --no-create-home --shell /usr/sbin/nologin loginward \
 && install -d -o loginward -g loginward /run/loginward \
 && install -d /etc/loginward
COPY --from=build /src/target/release/loginward /usr/local/bin/loginward
USER 10001:10001
EXPOSE 8080
# The configuration needs a `metrics` listener for this, such as { address: "127.0.0.1:9181" }.
HEALTHCHECK --interval=10s --timeout=5s --start-period=5s --retries=3 \
  CMD ["loginward", "health", "--config", "/etc/loginward/config.yaml"]
ENTRYPOINT ["loginward"]
CMD ["run", "--config", "/etc/loginward/config.yaml"]
