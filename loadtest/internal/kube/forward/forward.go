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
	"k8s.io/client-go/transport/websocket"
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

// dialTime bounds one connection's coming up, also where nobody waits for it any more.
const dialTime = 30 * time.Second

// Dial connects to a pod's port. The connection is there at once; that nothing listens shows at the first read. It fails with ErrForward, and
// as soon as ctx ends.
func (d Dialer) Dial(ctx context.Context, p Pod) (net.Conn, error) {
	dialing, cancel := context.WithTimeout(ctx, dialTime)
	result := make(chan dialled)
	go func() { // client-go notices the end of a context at some points only, of its time at all, and of nothing while it opens streams
		defer cancel()
		c, err := d.reach(dialing, p)
		select {
		case result <- dialled{c, err}:
		case <-dialing.Done(): // nobody waits
			if err == nil {
				_ = c.Close()
			}
		}
	}()
	select {
	case r := <-result:
		if r.err != nil {
			return nil, fmt.Errorf("%w: %s: %w", ErrForward, p, r.err)
		}
		return r.conn, nil
	case <-dialing.Done():
		return nil, fmt.Errorf("%w: %s: %w", ErrForward, p, context.Cause(dialing))
	}
}

type dialled struct {
	conn *conn
	err  error
}

// reach dials, and opens a connection. Where ctx ends before that is done, what there is of it is cut off.
func (d Dialer) reach(ctx context.Context, p Pod) (*conn, error) {
	link := &link{ctx: ctx}
	dialer, err := d.dialer(link, p)
	if err != nil {
		return nil, err
	}
	session, _, err := dialer.Dial(portforward.PortForwardProtocolV1Name)
	if err != nil {
		return nil, err
	}
	stop := context.AfterFunc(ctx, link.cut)
	c, err := open(session, p)
	if !stop() && err == nil {
		err = context.Cause(ctx)
	}
	if err != nil {
		link.cut() // a session waits for streams that have no answer
		_ = session.Close()
		return nil, err
	}
	return c, nil
}

// link gives a request that has no context one, and keeps the WebSocket that comes of it. Plain SPDY shows nothing of that kind.
type link struct {
	ctx    context.Context
	holder websocket.ConnectionHolder
}

// wrap is a rest.Config's.
func (l *link) wrap(rt http.RoundTripper) http.RoundTripper {
	if holder, ok := rt.(websocket.ConnectionHolder); ok {
		l.holder = holder
	}
	return roundTripper(func(r *http.Request) (*http.Response, error) { return rt.RoundTrip(r.WithContext(l.ctx)) })
}

// cut ends the WebSocket without a word.
func (l *link) cut() {
	if l.holder == nil {
		return
	}
	if c := l.holder.Connection(); c != nil {
		_ = c.Close()
	}
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// dialer speaks SPDY over a WebSocket, and plain SPDY to API servers that know only that (before Kubernetes 1.31).
func (d Dialer) dialer(l *link, p Pod) (httpstream.Dialer, error) {
	config := rest.CopyConfig(d.Config)
	config.Wrap(l.wrap)
	address, path, err := rest.DefaultServerUrlFor(config)
	if err != nil {
		return nil, err
	}
	target := address.JoinPath(path, "api/v1/namespaces", url.PathEscape(p.Namespace), "pods", url.PathEscape(p.Name), "portforward")
	transport, upgrader, err := spdy.RoundTripperFor(config)
	if err != nil {
		return nil, err
	}
	plain := spdy.NewDialerForStreaming(upgrader, &http.Client{Transport: transport}, http.MethodPost, target)
	socket, err := portforward.NewSPDYOverWebsocketDialerForStreaming(target, config)
	if err != nil {
		return nil, err
	}
	return portforward.NewFallbackDialerForStreaming(socket, plain, func(err error) bool {
		return httpstream.IsUpgradeFailure(err) || httpstream.IsHTTPSProxyError(err)
	}), nil
}

// open makes the two streams of one forwarded connection.
func open(session httpstream.Connection, p Pod) (*conn, error) {
	headers := http.Header{}
	headers.Set(corev1.StreamType, corev1.StreamTypeError)
	headers.Set(corev1.PortHeader, strconv.Itoa(p.Port))
	headers.Set(corev1.PortForwardRequestIDHeader, "0")
	errs, err := session.CreateStream(headers)
	if err != nil {
		_ = session.Close()
		return nil, err
	}
	_ = errs.Close() // our side of it, on which nothing is said
	headers.Set(corev1.StreamType, corev1.StreamTypeData)
	data, err := session.CreateStream(headers)
	if err != nil {
		_ = session.Close()
		return nil, err
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
