package probe

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
	"time"
)

// Ports of a probe.
const (
	// Port is where it answers.
	Port = 8080
	// ControlPort takes batches. It is the pod's own localhost: the API server's port-forward reaches it, and nobody else.
	ControlPort = 9099
)

// PathBatches takes a Batch by POST and gives the answers.
const PathBatches = "/batches"

const headerTime = 5 * time.Second

// Cmd is `loadtest probe`.
type Cmd struct {
	Forward     string `placeholder:"URL" help:"Be a hop: pass requests on to this URL in place of answering them."`
	DropSession bool   `help:"With --forward: without the session header, as a service does that forgets it."`
}

// Run serves until ctx ends, and then ends at once, as a program does that knows nothing of draining.
func (c *Cmd) Run(ctx context.Context, stdout io.Writer) error {
	pod, err := os.Hostname()
	if err != nil {
		return fmt.Errorf("name this pod: %w", err)
	}
	handler, err := c.handler(pod)
	if err != nil {
		return err
	}
	front, err := new(net.ListenConfig).Listen(ctx, "tcp", ":"+strconv.Itoa(Port))
	if err != nil {
		return err
	}
	control, err := new(net.ListenConfig).Listen(ctx, "tcp", net.JoinHostPort("localhost", strconv.Itoa(ControlPort)))
	if err != nil {
		return errors.Join(err, front.Close())
	}
	if _, err := fmt.Fprintf(stdout, "%s answers on %s and takes batches on %s\n", pod, front.Addr(), control.Addr()); err != nil {
		return errors.Join(err, front.Close(), control.Close())
	}
	return serve(ctx, map[net.Listener]http.Handler{front: handler, control: Control()})
}

func (c *Cmd) handler(pod string) (http.Handler, error) {
	switch {
	case c.Forward != "":
		return Hop(c.Forward, c.DropSession)
	case c.DropSession:
		return nil, fmt.Errorf("%w: --drop-session without --forward", ErrBatch)
	default:
		return Target(pod), nil
	}
}

// serve ends all servers when ctx or one of them does.
func serve(ctx context.Context, handlers map[net.Listener]http.Handler) error {
	done := make(chan error, len(handlers))
	var servers []*http.Server
	for l, h := range handlers {
		s := &http.Server{Handler: h, ReadHeaderTimeout: headerTime, BaseContext: func(net.Listener) context.Context { return ctx }}
		servers = append(servers, s)
		go func() { done <- s.Serve(l) }()
	}
	var errs []error
	running := len(servers)
	select {
	case <-ctx.Done():
	case err := <-done:
		errs, running = append(errs, err), running-1
	}
	for _, s := range servers {
		_ = s.Close() // what was under way is lost, which is meant
	}
	for range running {
		if err := <-done; !errors.Is(err, http.ErrServerClosed) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// Control takes batches: 200 with the answers, 400 for what is none.
func Control() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST "+PathBatches, func(w http.ResponseWriter, r *http.Request) {
		var b Batch
		decoder := json.NewDecoder(r.Body)
		decoder.DisallowUnknownFields()
		if err := decoder.Decode(&b); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		answers, err := Run(r.Context(), b)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(answers) // who asked is gone; nobody is left to tell
	})
	return mux
}
