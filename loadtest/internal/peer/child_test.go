package peer_test

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/smaran-v2/smaran/loadtest/internal/peer"
	"github.com/smaran-v2/smaran/services/session"
)

// The callers of a benchmark that measures the agent's end run in a process of their own: this test binary again, told by
// this variable to place so many calls through the URL in the other.
const (
	childCalls = "PEER_TEST_CALLS"
	childURL   = "PEER_TEST_URL"
)

// inChild is the child's main. It prints a line once all calls are up, and hangs up when its standard input ends.
func inChild() bool {
	calls, err := strconv.Atoi(os.Getenv(childCalls))
	if err != nil {
		return false
	}
	api, err := peer.NewAPI(peer.APIOptions{})
	if err != nil {
		fmt.Println(err)
		return true
	}
	for i := range calls {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		_, err := peer.Dial(ctx, api, overHTTP(fmt.Sprintf("%s/s%d", os.Getenv(childURL), i)), peer.Options{
			Meter: peer.NewMeter(peer.MeterConfig{}), Watchdog: -1,
			Speech: peer.Speech{Talk: 1500 * time.Millisecond, Pause: 5 * time.Second, Seed: uint64(i)},
		})
		cancel()
		if err != nil {
			fmt.Println(err)
			return true
		}
	}
	fmt.Println(childReady)
	_, _ = io.Copy(io.Discard, os.Stdin)
	return true
}

const childReady = "ready"

// overHTTP posts offers to a URL.
type overHTTP string

func (u overHTTP) Offer(ctx context.Context, sdp string) (peer.Answer, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, string(u), bytes.NewBufferString(sdp))
	if err != nil {
		return peer.Answer{}, err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return peer.Answer{}, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusCreated {
		err = fmt.Errorf("%s: %s", resp.Status, body)
	}
	return peer.Answer{SDP: string(body)}, err
}

// callFromChild has a child process place so many calls to the pod, and returns once they are up. They end with the test.
func callFromChild(t testing.TB, p *pod, calls int) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		offer, _ := io.ReadAll(r.Body)
		a, err := p.Offer(r.Context(), session.ID(r.URL.Path[1:]), string(offer))
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		w.WriteHeader(http.StatusCreated)
		_, _ = io.WriteString(w, a.SDP)
	})}
	go func() { _ = server.Serve(listener) }()
	t.Cleanup(func() { _ = server.Close() })

	child := exec.Command(os.Args[0], "-test.run=^$")
	child.Env = append(os.Environ(), childCalls+"="+strconv.Itoa(calls), childURL+"=http://"+listener.Addr().String())
	stdin, err := child.StdinPipe()
	require.NoError(t, err)
	stdout, err := child.StdoutPipe()
	require.NoError(t, err)
	child.Stderr = os.Stderr
	require.NoError(t, child.Start())
	t.Cleanup(func() {
		_ = stdin.Close()
		_ = child.Wait()
	})
	line, err := bufio.NewReader(stdout).ReadString('\n')
	require.NoError(t, err)
	require.Equal(t, childReady+"\n", line)
}
