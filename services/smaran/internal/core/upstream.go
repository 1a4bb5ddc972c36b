package core

import (
	"fmt"
	"net"
	"net/http"
	"time"

	"connectrpc.com/connect"
	lru "github.com/hashicorp/golang-lru/v2"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"

	"github.com/smaran-v2/smaran/proto/jarvis/v1/jarvisv1connect"
	"github.com/smaran-v2/smaran/services/mesh/replies"
	"github.com/smaran-v2/smaran/services/session"
	"github.com/smaran-v2/smaran/services/telemetry"
)

const (
	// dialTimeout bounds a connection to a pod whose host is gone without a trace; one that merely died refuses at once.
	dialTimeout = 2 * time.Second
	// idlePerPod connections are kept to each pod, and to the mesh: as many as there are requests at a time, within reason.
	idlePerPod = 256
	// idleTime is below the idle time-outs of servers, so that a kept connection is rarely a dead one.
	idleTime = 30 * time.Second
	// maxUpstreams bounds the clients kept for addresses seen.
	maxUpstreams = 4096
)

// upstreams makes and keeps a client for each target.
type upstreams struct {
	transport *http.Transport
	clients   *lru.Cache[string, jarvisv1connect.JarvisServiceClient]
	options   []connect.ClientOption
}

func newUpstreams(tracer trace.TracerProvider, carrier propagation.TextMapPropagator) (*upstreams, error) {
	spans, err := telemetry.Interceptor(tracer, carrier)
	if err != nil {
		return nil, err
	}
	clients, err := lru.New[string, jarvisv1connect.JarvisServiceClient](maxUpstreams)
	if err != nil {
		return nil, fmt.Errorf("clients of pods: %w", err)
	}
	return &upstreams{
		transport: &http.Transport{
			DialContext:           (&net.Dialer{Timeout: dialTimeout}).DialContext,
			MaxIdleConnsPerHost:   idlePerPod,
			IdleConnTimeout:       idleTime,
			DisableCompression:    true,
			ExpectContinueTimeout: time.Second,
		},
		clients: clients,
		options: []connect.ClientOption{
			// A text and a checksum are not worth a compressor.
			connect.WithAcceptCompression("gzip", nil, nil),
			connect.WithInterceptors(spans, session.Interceptor(session.Lenient)),
		},
	}, nil
}

func (u *upstreams) client(baseURL string) jarvisv1connect.JarvisServiceClient {
	if c, ok := u.clients.Get(baseURL); ok {
		return c
	}
	c := jarvisv1connect.NewJarvisServiceClient(&http.Client{Transport: replies.Transport{Next: bucketed{u.transport}}}, baseURL, u.options...)
	u.clients.Add(baseURL, c)
	return c
}

func (u *upstreams) close() { u.transport.CloseIdleConnections() }
