package experiments

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/jonboulle/clockwork"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/smaran-v2/smaran/services/endpoints"
	"github.com/smaran-v2/smaran/services/mesh"
	"github.com/smaran-v2/smaran/services/session"
	"github.com/smaran-v2/smaran/services/wire"
)

// shutdownTime bounds how long a server of a rig waits for its requests at the end.
const shutdownTime = 2 * time.Second

// server is an HTTP server on loopback.
type server struct {
	address string
	http    http.Server
	done    chan error
}

// serve starts a server on a free port.
func serve(ctx context.Context, h http.Handler) (*server, error) {
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("listen on loopback: %w", err)
	}
	s := &server{address: l.Addr().String(), done: make(chan error, 1)}
	s.http = http.Server{Handler: h, ReadHeaderTimeout: shutdownTime}
	go func() { s.done <- s.http.Serve(l) }()
	return s, nil
}

func (s *server) url() string { return "http://" + s.address }

// close ends the server, and after shutdownTime its requests with it.
func (s *server) close() error {
	ctx, cancel := context.WithTimeout(context.Background(), shutdownTime)
	defer cancel()
	err := s.http.Shutdown(ctx)
	if errors.Is(err, context.DeadlineExceeded) {
		err = s.http.Close()
	}
	if served := <-s.done; !errors.Is(served, http.ErrServerClosed) {
		return errors.Join(err, served)
	}
	return err
}

// holdPath is where a pod keeps a request until its client leaves.
const holdPath = "/hold"

// pod answers everything with its name.
func pod(name string) http.Handler {
	m := http.NewServeMux()
	m.HandleFunc(holdPath, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set(wire.HeaderPod, name)
		w.WriteHeader(http.StatusOK)
		_ = http.NewResponseController(w).Flush() // the client learns that it is being held
		<-r.Context().Done()
	})
	m.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) { w.Header().Set(wire.HeaderPod, name) })
	return m
}

// rig is our mesh over a few pods that do nothing but say who they are, all in this process.
type rig struct {
	set  endpoints.Set // all pods; the mesh's file may hold fewer
	file string
	// address is the mesh's, and url with its scheme.
	address, url string
	client       *http.Client

	servers []*server
	mesh    *mesh.Mesh
	stop    context.CancelFunc
	dir     string
}

// newRig starts so many pods, and a mesh over the first ones. weight gives an endpoint's weight; nil leaves them out.
func newRig(ctx context.Context, env Env, policy mesh.Policy, pods, first int, weight func(pod int) uint32) (_ *rig, err error) {
	r := &rig{client: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 256}}, stop: func() {}}
	defer func() {
		if err != nil {
			_ = r.close() // the first error says why
		}
	}()
	if err := os.MkdirAll(env.Scratch, 0o755); err != nil {
		return nil, fmt.Errorf("make a folder for the endpoints file: %w", err)
	}
	if r.dir, err = os.MkdirTemp(env.Scratch, ".claims-"); err != nil {
		return nil, fmt.Errorf("make a folder for the endpoints file: %w", err)
	}
	for i := range pods {
		name := fmt.Sprintf("jarvis-%d", i+1)
		s, err := serve(ctx, pod(name))
		if err != nil {
			return nil, err
		}
		r.servers = append(r.servers, s)
		e := endpoints.Endpoint{Pod: name, Address: s.address, Health: endpoints.Healthy}
		if weight != nil {
			e.Weight = weight(i)
		}
		r.set.Endpoints = append(r.set.Endpoints, e)
	}
	r.file = filepath.Join(r.dir, "endpoints.json")
	if err := r.offer(first); err != nil {
		return nil, err
	}
	options, err := mesh.Defaults(r.file, policy)
	if err != nil {
		return nil, err
	}
	options.Seed = max(env.Seed, 1) // 0 would be a seed of its own
	meshing, stop := context.WithCancel(context.WithoutCancel(ctx))
	r.stop = stop
	r.mesh, err = mesh.New(meshing, options, mesh.Dependencies{
		Log: slog.New(slog.DiscardHandler), Registry: prometheus.NewRegistry(), Clock: clockwork.NewRealClock(),
	})
	if err != nil {
		return nil, err
	}
	front, err := serve(ctx, r.mesh)
	if err != nil {
		return nil, err
	}
	r.servers, r.address, r.url = append(r.servers, front), front.address, front.url()
	return r, nil
}

// offer writes the first pods into the mesh's file.
func (r *rig) offer(first int) error {
	set := endpoints.Set{Version: fmt.Sprint(first), Endpoints: r.set.Endpoints[:first]}
	return endpoints.WriteFile(r.file, set)
}

// close ends everything, the mesh's server first.
func (r *rig) close() error {
	var errs []error
	r.client.CloseIdleConnections()
	for i := len(r.servers) - 1; i >= 0; i-- {
		errs = append(errs, r.servers[i].close())
	}
	r.stop()
	if r.mesh != nil {
		r.mesh.Wait()
	}
	if r.dir != "" {
		errs = append(errs, os.RemoveAll(r.dir))
	}
	return errors.Join(errs...)
}

// ask sends a request for a session through url, and returns the pod that answered and the reply's headers.
func (r *rig) ask(ctx context.Context, url, sessionID string, header http.Header) (pod string, reply http.Header, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url+"/", nil)
	if err != nil {
		return "", nil, err
	}
	for name, values := range header {
		req.Header[name] = values
	}
	if sessionID != "" {
		req.Header.Set(session.Header, sessionID)
	}
	res, err := r.client.Do(req)
	if err != nil {
		return "", nil, fmt.Errorf("ask through the mesh: %w", err)
	}
	if err := res.Body.Close(); err != nil {
		return "", nil, err
	}
	if res.StatusCode != http.StatusOK {
		return "", nil, fmt.Errorf("ask through the mesh: status %d, want 200", res.StatusCode)
	}
	return res.Header.Get(wire.HeaderPod), res.Header, nil
}
