package cli

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/user"
	"time"

	"github.com/jonboulle/clockwork"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/klog/v2"

	"github.com/smaran-v2/smaran/loadtest/internal/conduct"
	"github.com/smaran-v2/smaran/loadtest/internal/engine"
	"github.com/smaran-v2/smaran/loadtest/internal/kube"
	"github.com/smaran-v2/smaran/loadtest/internal/kube/cluster"
	"github.com/smaran-v2/smaran/loadtest/internal/kube/forward"
	"github.com/smaran-v2/smaran/loadtest/internal/kube/node"
	"github.com/smaran-v2/smaran/loadtest/internal/kube/stage"
	"github.com/smaran-v2/smaran/loadtest/internal/kube/view"
	"github.com/smaran-v2/smaran/loadtest/internal/manifests"
	"github.com/smaran-v2/smaran/loadtest/internal/tally"
	"github.com/smaran-v2/smaran/services/version"
)

// kubernetesDriver is where fleets run, as --driver has it.
const kubernetesDriver = "kubernetes"

// defaultDeploy is where the manifests are, seen from the repository's root.
const defaultDeploy = "deploy"

// restoreTime bounds putting back what was found in a cluster.
const restoreTime = 3 * time.Minute

// newClusterBatch makes runs in a cluster. The closer puts back what was found there, whatever became of ctx.
func (f *loadFlags) newClusterBatch(ctx context.Context, a *app) (*batch, func() error, error) {
	deploy := f.Deploy
	if deploy == "" {
		deploy = defaultDeploy
	}
	if _, err := os.Stat(deploy); err != nil {
		return nil, nil, fmt.Errorf("the manifests: %w: run in the repository's root, or name the folder with --deploy", err)
	}
	c, clusterVersion, err := cluster.Connect(ctx, f.Context)
	if err != nil {
		return nil, nil, err
	}
	klog.SetSlogLogger(a.log) // client-go logs to stderr by itself, some of it without a context
	p := newProgress(a.stderr)
	b := &batch{progress: p, roaming: true, anew: "scripts/images && scripts/kind-load"}
	clock := clockwork.NewRealClock()
	dialer := forward.Dialer{Config: c.REST}
	d := &kube.Driver{
		Cluster: c, Signals: node.Kind{}, By: owner(), Clock: clock, Log: a.log,
		Render: func(overlay string, features ...string) ([]*unstructured.Unstructured, error) {
			return manifests.RenderWith(deploy, overlay, features...)
		},
		Dial: func(ctx context.Context, namespace, pod string, port int) (net.Conn, error) {
			return dialer.Dial(ctx, forward.Pod{Namespace: namespace, Name: pod, Port: port})
		},
		Say: func(what string) { p.step(engine.Progress{Stage: what}) },
	}
	b.runner = &conduct.Conductor{
		Driver: d, Version: version.String(), Clock: clock, Log: a.log, Progress: p.step,
		Stage: &stage.Stage{
			Cluster: c, Namespace: kube.Namespace, Image: f.Image,
			Watch: func(ctx context.Context) (*view.View, error) { return view.Follow(ctx, c, kube.Namespace, a.log, nil) },
			Dial: func(ctx context.Context, pod string, port int) (net.Conn, error) {
				return d.Dial(ctx, kube.Namespace, pod, port)
			},
			Log: func(ctx context.Context, pod, container string) (string, error) {
				return c.Tail(ctx, kube.Namespace, pod, container)
			},
		},
		Histograms: func(s engine.Spec, h map[string]tally.Histogram) {
			if b.histograms != nil {
				b.histograms(s, h)
			}
		},
	}
	a.log.Info("connected", "cluster", c.REST.Host, "version", clusterVersion)
	return b, func() error {
		restore, cancel := context.WithTimeout(context.WithoutCancel(ctx), restoreTime)
		defer cancel()
		return d.Close(restore)
	}, nil
}

// owner says who uses a cluster, for others that want it.
func owner() string {
	name := "somebody"
	if u, err := user.Current(); err == nil {
		name = u.Username
	}
	host, err := os.Hostname()
	if err != nil {
		host = "somewhere"
	}
	return fmt.Sprintf("%s@%s (pid %d)", name, host, os.Getpid())
}
