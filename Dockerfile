# One file for every program of ours: docker build --build-arg SERVICE=smaran|jarvis|stage|turn|loadtest .
# (scripts/images builds all of them, with the version, and checks their size).
#
# No BuildKit syntax, so that every builder works. For another platform, on an engine that can run its programs (Docker Desktop, or QEMU's
# binfmt), as the build itself runs in its Go image: docker buildx build --platform linux/arm64 --build-arg SERVICE=smaran .
ARG SERVICE
# Written by scripts/pins from deploy/images.env.
ARG GO_IMAGE=golang:1.26
ARG BASE_IMAGE=gcr.io/distroless/static-debian12:nonroot

FROM ${GO_IMAGE} AS services
# Without the tag gRPC's trace page brings html/template in, and with it the linker keeps every exported method: smaran would have
# 42 MB instead of 30.
ENV GOWORK=off CGO_ENABLED=0 GOFLAGS=-tags=grpcnotrace
# BuildKit sets it to what --platform says; empty is the builder's own.
ARG TARGETARCH
ENV GOARCH=${TARGETARCH}
WORKDIR /src
# First what the modules need, so that a change of code downloads nothing. Each replaces its siblings by ../.
COPY proto/go.mod proto/go.sum proto/
COPY services/go.mod services/go.sum services/
COPY loadtest/go.mod loadtest/go.sum loadtest/
RUN cd services && go mod download && cd ../loadtest && go mod download
# Then most of what others wrote (700 of 750 packages hang on these), so that a change of code does not compile it again.
RUN cd services && go build -trimpath github.com/pion/webrtc/v4 go.opentelemetry.io/contrib/exporters/autoexport \
	connectrpc.com/connect github.com/redis/go-redis/v9 github.com/envoyproxy/go-control-plane/envoy/config/core/v3 \
	k8s.io/api/discovery/v1 k8s.io/client-go/rest

COPY proto proto
COPY services services
# The context has no .git to ask; empty is "unknown".
ARG VERSION
ENV LDFLAGS="-s -w -X github.com/smaran-v2/smaran/services/version.Revision=${VERSION}"
RUN cd services && go build -trimpath -ldflags "${LDFLAGS}" -o /out/ ./cmd/smaran ./cmd/jarvis ./cmd/stage ./cmd/turn

# Of loadtest the image holds the generator, which a run starts in the cluster; who conducts runs outside.
FROM services AS generator
COPY loadtest loadtest
RUN cd loadtest && go build -trimpath -ldflags "${LDFLAGS}" -o /out/loadtest ./cmd/generator

FROM ${BASE_IMAGE} AS smaran
COPY --from=services /out/smaran /smaran
EXPOSE 8080 9090
ENTRYPOINT ["/smaran"]

FROM ${BASE_IMAGE} AS jarvis
COPY --from=services /out/jarvis /jarvis
EXPOSE 8080 9090 40000/udp
ENTRYPOINT ["/jarvis"]

FROM ${BASE_IMAGE} AS stage
COPY --from=services /out/stage /stage
EXPOSE 7080 7081 9090
ENTRYPOINT ["/stage"]

FROM ${BASE_IMAGE} AS turn
COPY --from=services /out/turn /turn
EXPOSE 3478/udp 3478/tcp 9090
ENTRYPOINT ["/turn"]

FROM ${BASE_IMAGE} AS loadtest
COPY --from=generator /out/loadtest /loadtest
ENTRYPOINT ["/loadtest"]

FROM ${SERVICE}
ARG VERSION
LABEL org.opencontainers.image.revision=${VERSION}
# By number: Kubernetes' runAsNonRoot can't tell who a name is.
USER 65532:65532
