// Package healthcheck lets a program be asked whether it is ready by running it once more: `smaran health`. Its image holds nothing
// else that could ask. Kubernetes needs none of this; it asks over HTTP.
package healthcheck

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/smaran-v2/smaran/services/wire"
)

// ErrNotReady is returned by Ready for a service that does not answer, or answers anything but 200; wrapped with what it said.
var ErrNotReady = errors.New("not ready")

const (
	// timeout bounds the question: an admin port answers at once, or is of no use.
	timeout = 2 * time.Second
	// maxAnswer is as much of a refusal as is shown, in bytes.
	maxAnswer = 1 << 10
)

// Asked is whether a program's arguments ask for the check, rather than for the service.
func Asked(args []string) bool { return len(args) == 1 && args[0] == "health" }

// Ready asks the service whose admin port listens at listen, as its configuration has it (":9090" is every address of this host).
// It fails with ErrNotReady.
func Ready(ctx context.Context, listen string) error {
	host, port, err := net.SplitHostPort(listen)
	if err != nil {
		return fmt.Errorf("%w: admin address %q, expected host:port: %w", ErrNotReady, listen, err)
	}
	if ip := net.ParseIP(host); host == "" || ip.IsUnspecified() {
		host = "localhost"
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+net.JoinHostPort(host, port)+wire.PathReady, nil)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrNotReady, err)
	}
	req.Close = true // one question, and no connection left behind
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrNotReady, err)
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		said, _ := io.ReadAll(io.LimitReader(res.Body, maxAnswer)) // the status says enough without it
		return fmt.Errorf("%w: %s: %s", ErrNotReady, res.Status, strings.TrimSpace(string(said)))
	}
	return nil
}
