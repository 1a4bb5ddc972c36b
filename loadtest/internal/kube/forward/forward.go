// Package forward dials ports of pods through the API server, as `kubectl port-forward` does, without a local port in between. A dialled
// port is the pod's own localhost: it is reached whatever the pod's sidecar and network policies say, and needs only the permission to
// create pods/portforward.
package forward

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/portforward"
	"k8s.io/client-go/transport/spdy"
	"k8s.io/streaming/pkg/httpstream"
)

// ErrForward is returned for a port that could not be reached.
var ErrForward = errors.New("port-forward failed")

// Dialer dials pods.
type Dialer struct{ Config *rest.Config }

// Pod is what to dial.
type Pod struct {
	Namespace, Name string
	Port            int
}

func (p Pod) String() string { return fmt.Sprintf("%s/%s:%d", p.Namespace, p.Name, p.Port) }

// Dial connects to a pod's port. The connection is there at once; that nothing listens shows at the first read. It fails with ErrForward.
func (d Dialer) Dial(ctx context.Context, p Pod) (net.Conn, error) {
	dialer, err := d.dialer(p)
	if err != nil {
		return nil, fmt.Errorf("%w: %s: %w", ErrForward, p, err)
	}
	type dialled struct {
		conn httpstream.Connection
		err  error
	}
	result := make(chan dialled, 1)
	go func() { // client-go's dialers take no context; one that is too late is closed here
		conn, _, err := dialer.Dial(portforward.PortForwardProtocolV1Name)
		result <- dialled{conn, err}
	}()
	select {
	case r := <-result:
		if r.err != nil {
			return nil, fmt.Errorf("%w: %s: %w", ErrForward, p, r.err)
		}
		return open(r.conn, p)
	case <-ctx.Done():
		go func() {
			if r := <-result; r.err == nil {
				_ = r.conn.Close()
			}
		}()
		return nil, fmt.Errorf("%w: %s: %w", ErrForward, p, context.Cause(ctx))
	}
}

// dialer speaks SPDY over a WebSocket, and plain SPDY to API servers that know only that (before Kubernetes 1.31).
func (d Dialer) dialer(p Pod) (httpstream.Dialer, error) {
	address, path, err := rest.DefaultServerUrlFor(d.Config)
	if err != nil {
		return nil, err
	}
	target := address.JoinPath(path, "api/v1/namespaces", url.PathEscape(p.Namespace), "pods", url.PathEscape(p.Name), "portforward")
	transport, upgrader, err := spdy.RoundTripperFor(d.Config)
	if err != nil {
		return nil, err
	}
	plain := spdy.NewDialerForStreaming(upgrader, &http.Client{Transport: transport}, http.MethodPost, target)
	socket, err := portforward.NewSPDYOverWebsocketDialerForStreaming(target, d.Config)
	if err != nil {
		return nil, err
	}
	return portforward.NewFallbackDialerForStreaming(socket, plain, func(err error) bool {
		return httpstream.IsUpgradeFailure(err) || httpstream.IsHTTPSProxyError(err)
	}), nil
}

// open makes the two streams of one forwarded connection.
func open(session httpstream.Connection, p Pod) (net.Conn, error) {
	headers := http.Header{}
	headers.Set(corev1.StreamType, corev1.StreamTypeError)
	headers.Set(corev1.PortHeader, strconv.Itoa(p.Port))
	headers.Set(corev1.PortForwardRequestIDHeader, "0")
	errs, err := session.CreateStream(headers)
	if err != nil {
		_ = session.Close()
		return nil, fmt.Errorf("%w: %s: %w", ErrForward, p, err)
	}
	_ = errs.Close() // our side of it, on which nothing is said
	headers.Set(corev1.StreamType, corev1.StreamTypeData)
	data, err := session.CreateStream(headers)
	if err != nil {
		_ = session.Close()
		return nil, fmt.Errorf("%w: %s: %w", ErrForward, p, err)
	}
	c := &conn{session: session, data: data, pod: p, refused: make(chan struct{})}
	go c.listen(errs) // ends with the session, at the latest when it is closed
	return c, nil
}

// conn is one forwarded connection over a session of its own.
type conn struct {
	session httpstream.Connection
	data    httpstream.Stream
	pod     Pod
	once    sync.Once

	// refused is closed once the error stream has ended; why is set before that.
	refused chan struct{}
	why     string
}

// listen waits for what the kubelet has to say; then there is no connection.
func (c *conn) listen(errs io.Reader) {
	said, _ := io.ReadAll(errs)
	c.why = strings.TrimSpace(string(said))
	close(c.refused)
	if c.why != "" {
		_ = c.Close()
	}
}

func (c *conn) Read(p []byte) (int, error) {
	n, err := c.data.Read(p)
	if err != nil && n == 0 {
		select {
		case <-c.refused:
			if c.why != "" {
				return 0, fmt.Errorf("%w: %s: %s", ErrForward, c.pod, c.why)
			}
		default:
		}
	}
	return n, err
}

func (c *conn) Write(p []byte) (int, error) { return c.data.Write(p) }

// Close ends the connection and the session under it.
func (c *conn) Close() error {
	var err error
	c.once.Do(func() {
		_ = c.data.Reset() // what is unsent would hold up the session's end
		err = c.session.Close()
	})
	return err
}

func (c *conn) LocalAddr() net.Addr  { return address("conductor") }
func (c *conn) RemoteAddr() net.Addr { return address(c.pod.String()) }

// Streams have no deadlines.
func (c *conn) SetDeadline(t time.Time) error      { return noDeadline(t) }
func (c *conn) SetReadDeadline(t time.Time) error  { return noDeadline(t) }
func (c *conn) SetWriteDeadline(t time.Time) error { return noDeadline(t) }

// noDeadline refuses one, and lets none be set again.
func noDeadline(t time.Time) error {
	if t.IsZero() {
		return nil
	}
	return os.ErrNoDeadline
}

type address string

func (address) Network() string  { return "port-forward" }
func (a address) String() string { return string(a) }
