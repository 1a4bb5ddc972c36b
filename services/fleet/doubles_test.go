package fleet_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"connectrpc.com/connect"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	jarvisv1 "github.com/smaran-v2/smaran/proto/jarvis/v1"
	"github.com/smaran-v2/smaran/proto/jarvis/v1/jarvisv1connect"
	stagev1 "github.com/smaran-v2/smaran/proto/stage/v1"
	"github.com/smaran-v2/smaran/proto/stage/v1/stagev1connect"
	"github.com/smaran-v2/smaran/services/endpoints"
	"github.com/smaran-v2/smaran/services/fleet"
	"github.com/smaran-v2/smaran/services/lifeline"
	"github.com/smaran-v2/smaran/services/mesh"
	"github.com/smaran-v2/smaran/services/run"
	"github.com/smaran-v2/smaran/services/wire"
)

// Files beside the programs that make a double misbehave from its next start on.
const (
	// crash: print the file's text and end with an error.
	crash = "crash"
	// deaf: not be ready; the file's text, where it has one, is the only pod that is.
	deaf = "deaf"
	// stubborn: ignore SIGTERM.
	stubborn = "stubborn"
)

func doubles() map[string]run.Func {
	return map[string]run.Func{"smaran": smaranDouble, "jarvis": jarvisDouble, "mesh": meshDouble, "loadtest": crowdDouble, "fleet": fleet.Run}
}

// newBinDir returns a directory with the programs of a fleet.
func newBinDir(t *testing.T) string {
	t.Helper()
	self, err := os.Executable()
	require.NoError(t, err)
	dir := t.TempDir()
	for name := range doubles() {
		require.NoError(t, os.Symlink(self, filepath.Join(dir, name)))
	}
	return dir
}

// misbehave makes the processes called program behave so; well ends it.
func misbehave(t *testing.T, binDir, program, how, text string) (well func()) {
	t.Helper()
	path := filepath.Join(binDir, program+"."+how)
	require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
	return func() { require.NoError(t, os.Remove(path)) }
}

func misbehaviour(how string) (text string, asked bool) {
	b, err := os.ReadFile(os.Args[0] + "." + how)
	return string(b), !errors.Is(err, fs.ErrNotExist)
}

func smaranDouble(ctx context.Context, _, environ []string, _, _ io.Writer) error {
	return serveDouble(ctx, environ, lookup(environ, "SMARAN_LISTEN"), lookup(environ, "SMARAN_ADMIN_LISTEN"), http.NotFoundHandler())
}

func meshDouble(ctx context.Context, args, environ []string, _, _ io.Writer) error {
	options, err := mesh.Parse(args, environ, io.Discard)
	if err != nil {
		return err
	}
	return serveDouble(ctx, environ, options.Listen, options.Admin, http.NotFoundHandler())
}

func jarvisDouble(ctx context.Context, _, environ []string, _, _ io.Writer) error {
	mux := http.NewServeMux()
	double := &jarvisService{endpoints: strings.TrimPrefix(lookup(environ, "JARVIS_ENDPOINTS"), "file://")}
	mux.Handle(jarvisv1connect.NewJarvisServiceHandler(double))
	mux.HandleFunc("GET /prepared", double.prepared)
	mux.HandleFunc("GET "+wire.PathInference, func(w http.ResponseWriter, _ *http.Request) {
		_ = json.NewEncoder(w).Encode(lookup(environ, "JARVIS_POD"))
	})
	return serveDouble(ctx, environ, lookup(environ, "JARVIS_LISTEN"), lookup(environ, "JARVIS_ADMIN_LISTEN"), mux)
}

// crowdDouble says hello, and nothing else.
func crowdDouble(ctx context.Context, args, environ []string, _, _ io.Writer) error {
	fmt.Fprintln(os.Stderr, "double starts")
	ctx, err := lifeline.Context(ctx, environ)
	if err != nil {
		return err
	}
	if len(args) != 5 || args[0] != "crowd" || args[1] != "--stage" || args[3] != "--lane" {
		return fmt.Errorf("unexpected arguments: %q", args)
	}
	var h2c http.Protocols
	h2c.SetUnencryptedHTTP2(true)
	stream := stagev1connect.NewCrowdServiceClient(&http.Client{Transport: &http.Transport{Protocols: &h2c}}, args[2]).Attach(ctx)
	hello := &stagev1.CrowdHello{Lane: args[4]}
	if err := stream.Send(&stagev1.AttachRequest{Message: &stagev1.AttachRequest_Hello{Hello: hello}}); err != nil {
		return err
	}
	for err == nil {
		_, err = stream.Receive()
	}
	if ctx.Err() != nil {
		return nil
	}
	return err
}

type jarvisService struct {
	jarvisv1connect.UnimplementedJarvisServiceHandler
	endpoints string

	mu    sync.Mutex
	asked []preparation
}

// preparation is what a pod was asked to prepare for, and which version of the endpoints there was then.
type preparation struct {
	Hosts   []string
	Version string
}

func (*jarvisService) Status(context.Context, *connect.Request[jarvisv1.StatusRequest]) (*connect.Response[jarvisv1.StatusResponse], error) {
	return connect.NewResponse(&jarvisv1.StatusResponse{Sessions: 41, Calls: 17}), nil
}

func (s *jarvisService) Prepare(_ context.Context, req *connect.Request[jarvisv1.PrepareRequest]) (*connect.Response[jarvisv1.PrepareResponse], error) {
	set, err := endpoints.ReadFile(s.endpoints)
	if err != nil {
		return nil, err
	}
	asked := preparation{Version: set.Version}
	for _, h := range req.Msg.GetHosts() {
		asked.Hosts = append(asked.Hosts, h.GetPod()+" "+h.GetAddress())
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked = append(s.asked, asked)
	return connect.NewResponse(&jarvisv1.PrepareResponse{Moving: 3, Sent: 2}), nil
}

// prepared lists the preparations so far.
func (s *jarvisService) prepared(w http.ResponseWriter, _ *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	_ = json.NewEncoder(w).Encode(s.asked)
}

// serveDouble also serves its environment at /environ of the admin port.
func serveDouble(ctx context.Context, environ []string, listen, admin string, public http.Handler) error {
	fmt.Fprintln(os.Stderr, "double starts")
	if text, ok := misbehaviour(crash); ok {
		return errors.New(text)
	}
	if _, ok := misbehaviour(stubborn); ok {
		ctx = context.WithoutCancel(ctx)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("/readyz", func(w http.ResponseWriter, _ *http.Request) {
		if only, ok := misbehaviour(deaf); ok && (only == "" || only == lookup(environ, "JARVIS_POD")) {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	})
	mux.HandleFunc("/environ", func(w http.ResponseWriter, _ *http.Request) { _ = json.NewEncoder(w).Encode(environ) })
	group, ctx := errgroup.WithContext(ctx)
	for addr, handler := range map[string]http.Handler{listen: public, admin: mux} {
		server := &http.Server{Addr: addr, Handler: handler}
		group.Go(server.ListenAndServe)
		context.AfterFunc(ctx, func() { _ = server.Close() })
	}
	if err := group.Wait(); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

func lookup(environ []string, key string) string {
	for _, entry := range environ {
		if value, ok := strings.CutPrefix(entry, key+"="); ok {
			return value
		}
	}
	return ""
}
