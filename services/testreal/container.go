package testreal

import (
	"context"
	"fmt"
	"io"
	"os"
	"runtime"
	"testing"
	"time"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"
	"github.com/testcontainers/testcontainers-go"
	"github.com/testcontainers/testcontainers-go/log"
)

// How long a container may take to start, its image to be fetched before, and one request to the engine.
const (
	runTimeout    = 5 * time.Minute
	engineTimeout = 30 * time.Second
)

// inContainer is a program's image, pinned in deploy/images.env, and how to run it.
type inContainer struct {
	program string // as Binary names it
	image   string // its key in deploy/images.env
	args    []string
	port    string // to publish on the host, such as "6379/tcp"; empty: none
	// onHost gives the program the host's network and its directory of temporary files, at the same path: addresses and paths then
	// mean the same inside and outside, and Envoy, which hashes addresses, has to see the true ones.
	onHost bool
}

// startContainer runs the program in a container until the test ends. Where no Docker engine answers, or it has no such image and can't
// fetch it, it skips the test, or fails it under CI=true; whatever else goes wrong fails the test. Output is shown if the test fails.
func startContainer(t testing.TB, c inContainer) (*process, *testcontainers.DockerContainer) {
	t.Helper()
	image := pinned(t, c.image)
	absent := func(err error) {
		Skip(t, fmt.Sprintf("no %s on PATH and no Docker engine to run %s: %s, or set %s, or start Docker (%v)",
			c.program, image, hint(c.program), variable(c.program), err))
	}
	logger := testcontainers.WithLogger(log.TestLogger(t))
	engine, err := testcontainers.NewDockerProvider(testcontainers.Generic2DockerOptions(logger)...)
	if err != nil {
		absent(err)
	}
	t.Cleanup(func() {
		if err := engine.Close(); err != nil {
			t.Errorf("close the connection to the engine: %v", err)
		}
	})
	starting, cancel := context.WithTimeout(t.Context(), runTimeout)
	t.Cleanup(cancel)
	if err := available(starting, engine, image); err != nil {
		absent(err)
	}
	options := []testcontainers.ContainerCustomizer{logger, testcontainers.WithCmd(c.args...)}
	if c.port != "" {
		options = append(options, testcontainers.WithExposedPorts(c.port))
	}
	if c.onHost {
		options = append(options,
			// The image's own entrypoint would change the user.
			testcontainers.WithEntrypoint(c.program),
			testcontainers.WithConfigModifier(func(config *container.Config) {
				config.User = fmt.Sprintf("%d:%d", os.Getuid(), os.Getgid())
			}),
			testcontainers.WithHostConfigModifier(func(host *container.HostConfig) {
				host.NetworkMode = "host"
				host.Binds = []string{os.TempDir() + ":" + os.TempDir()}
			}))
	}
	running, err := testcontainers.Run(starting, image, options...)
	if err != nil {
		// What was created before it went wrong is there to be removed.
		_ = testcontainers.TerminateContainer(running)
		t.Fatalf("run %s in a container of %s: %v", c.program, image, err)
	}
	state, err := running.State(t.Context())
	if err != nil {
		t.Fatalf("%s's container: %v", c.program, err)
	}
	p := &process{name: c.program, pid: state.Pid, output: logs{running}, exited: make(chan struct{})}
	if c.onHost && runtime.GOOS != "linux" {
		// There the engine is in a machine of its own.
		p.silent = "in Docker Desktop turn on Settings > Resources > Network > Enable host networking"
	}
	waiting, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	go func() {
		defer close(p.exited)
		end := engine.Client().ContainerWait(waiting, running.ID, client.ContainerWaitOptions{})
		select {
		case <-end.Result:
		case <-end.Error: // also once it is removed
		}
	}()
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("output of %s:\n%s", c.program, p.output)
		}
		if err := testcontainers.TerminateContainer(running, testcontainers.StopTimeout(stopTimeout)); err != nil {
			t.Errorf("remove the container of %s: %v", c.program, err)
		}
		stop()
		<-p.exited
	})
	return p, running
}

// available fails where the engine does not answer, or the image is not there and can't be fetched, nor that of the container that removes
// others should the test be killed.
func available(ctx context.Context, engine *testcontainers.DockerProvider, image string) error {
	if err := engine.Health(ctx); err != nil {
		return err
	}
	images := []string{image}
	if !testcontainers.ReadConfig().RyukDisabled {
		//lint:ignore SA1019 nothing else says which image it will want
		images = append(images, testcontainers.ReaperDefaultImage)
	}
	for _, image := range images {
		if _, err := engine.Client().ImageInspect(ctx, image); err == nil {
			continue
		}
		if err := engine.PullImage(ctx, image); err != nil {
			return fmt.Errorf("fetch %s: %w", image, err)
		}
	}
	return nil
}

// logs reads what a container wrote when it is asked for.
type logs struct {
	*testcontainers.DockerContainer
}

func (l logs) String() string {
	ctx, cancel := context.WithTimeout(context.Background(), engineTimeout)
	defer cancel()
	stream, err := l.Logs(ctx)
	if err != nil {
		return err.Error()
	}
	defer stream.Close()
	all, err := io.ReadAll(stream)
	if err != nil {
		return err.Error()
	}
	return string(all)
}

// endpoint is the "ip:port" at which the host reaches the container's port.
func endpoint(t testing.TB, running *testcontainers.DockerContainer, port string) string {
	t.Helper()
	addr, err := running.PortEndpoint(t.Context(), port, "")
	if err != nil {
		t.Fatalf("port %s of %s: %v", port, running.Image, err)
	}
	return addr
}
