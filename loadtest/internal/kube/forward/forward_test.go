package forward_test

import (
	"context"
	"crypto/sha1"
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/portforward"
	"k8s.io/streaming/pkg/httpstream"
	"k8s.io/streaming/pkg/httpstream/spdy"

	"github.com/smaran-v2/smaran/loadtest/internal/kube/forward"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(settled{m}, bounded...) }

// bounded are goroutines of libraries that end by themselves, later than goleak waits.
var bounded = []goleak.Option{
	goleak.IgnoreTopFunction("k8s.io/klog/v2.(*flushDaemon).run.func1"),
	// It waits for a stream's answer for 30 s, over a connection that is closed.
	goleak.IgnoreTopFunction("github.com/moby/spdystream.(*Stream).WaitTimeout"),
}

// settled gives the goroutines of a run longer to end than goleak does, which looks for half a second: spdystream offers the error of
// closing what is closed already for a whole one.
type settled struct{ *testing.M }

func (s settled) Run() int {
	code := s.M.Run()
	for range 8 {
		if goleak.Find(bounded...) == nil {
			break
		}
	}
	return code
}

// accept ends a WebSocket's handshake (RFC 6455, section 4.2.2) for port-forward's protocol.
func accept(r *http.Request) string {
	sum := sha1.Sum([]byte(r.Header.Get("Sec-WebSocket-Key") + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
	return fmt.Sprintf("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"+
		"Sec-WebSocket-Accept: %s\r\nSec-WebSocket-Protocol: %s\r\n\r\n",
		base64.StdEncoding.EncodeToString(sum[:]), r.Header.Get("Sec-WebSocket-Protocol"))
}

// An API server that falls silent does not hold up who was interrupted, and nothing waits for it behind their back.
func TestADialEndsWithItsContext(t *testing.T) {
	for name, upgrades := range map[string]bool{"no answer": false, "no stream": true} {
		t.Run(name, func(t *testing.T) {
			silent, returned, hungUp := make(chan struct{}), make(chan struct{}), make(chan struct{})
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				c, _, err := w.(http.Hijacker).Hijack()
				if err != nil {
					return
				}
				defer c.Close() //nolint:errcheck // the test is over
				if upgrades {
					fmt.Fprint(c, accept(r)) //nolint:errcheck // the test fails then
					_, _ = c.Read(make([]byte, 1))
				}
				close(silent)
				if !upgrades { // it is bounded by its time alone
					<-returned
					return
				}
				for err == nil { // the client hangs up
					_, err = c.Read(make([]byte, 64))
				}
				close(hungUp)
			}))
			defer server.Close()
			interrupted, interrupt := context.WithCancel(t.Context())
			go func() {
				<-silent
				interrupt()
			}()
			start := time.Now()
			_, err := forward.Dialer{Config: &rest.Config{Host: server.URL}}.Dial(interrupted, forward.Pod{Namespace: "dev", Name: "jarvis-1", Port: 8080})
			require.ErrorIs(t, err, forward.ErrForward)
			require.ErrorIs(t, err, context.Canceled)
			require.Less(t, time.Since(start), 5*time.Second)
			close(returned)
			if upgrades {
				<-hungUp
			}
		})
	}
}

// A connection outlives the context that it was dialled with; here to an API server that knows no WebSockets.
func TestAConnectionStays(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodPost {
			http.Error(w, "POST, please", http.StatusBadRequest)
			return
		}
		w.Header().Set(httpstream.HeaderProtocolVersion, portforward.PortForwardProtocolV1Name)
		var echoes sync.WaitGroup
		c := spdy.NewResponseUpgrader().UpgradeResponse(w, r, func(s httpstream.Stream, replied <-chan struct{}) error {
			if s.Headers().Get(corev1.StreamType) == corev1.StreamTypeData {
				echoes.Go(func() {
					<-replied
					_, _ = io.Copy(s, s)
				})
			}
			return nil
		})
		if c != nil {
			<-c.CloseChan()
			echoes.Wait()
		}
	}))
	defer server.Close()
	ctx, cancel := context.WithCancel(t.Context())
	c, err := forward.Dialer{Config: &rest.Config{Host: server.URL}}.Dial(ctx, forward.Pod{Namespace: "dev", Name: "jarvis-1", Port: 8080})
	require.NoError(t, err)
	cancel()
	_, err = c.Write([]byte("hello"))
	require.NoError(t, err)
	said := make([]byte, 5)
	_, err = io.ReadFull(c, said)
	require.NoError(t, err)
	require.Equal(t, "hello", string(said))
	require.NoError(t, c.Close())
}
