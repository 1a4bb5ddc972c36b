package experiments

import (
	"context"
	"log/slog"

	"github.com/smaran-v2/smaran/loadtest/internal/claims"
	"github.com/smaran-v2/smaran/loadtest/internal/experiments/istio"
	"github.com/smaran-v2/smaran/loadtest/internal/kube/cluster"
)

// Mesh is the cluster of those experiments that need one.
type Mesh struct {
	Context string `placeholder:"NAME" help:"Conduct the experiments that need Kubernetes with Istio in place of the others, in this context of the kubeconfig, such as kind-smaran. One of them, of claim 19, stops istiod for a minute."`
	Deploy  string `default:"deploy" type:"path" help:"Folder of the manifests, for --context."`
	Image   string `default:"smaran-v2/loadtest:dev" help:"Image of this program that the cluster has, for --context."`
}

// onMesh are the cluster's experiments.
func onMesh() []experiment {
	var out []experiment
	for _, number := range istio.Claims() {
		out = append(out, experiment{number, func(ctx context.Context, env Env) (claims.Finding, error) {
			return istio.Conduct(ctx, env.mesh, number)
		}})
	}
	return out
}

// connect reaches the cluster, and returns its version with what experiments need.
func (m Mesh) connect(ctx context.Context) (version string, env istio.Env, err error) {
	c, version, err := cluster.Connect(ctx, m.Context)
	if err != nil {
		return "", istio.Env{}, err
	}
	if err := istio.Check(ctx, c); err != nil {
		return "", istio.Env{}, err
	}
	return version, istio.Env{Cluster: c, Deploy: m.Deploy, Image: m.Image, Log: slog.New(slog.DiscardHandler)}, nil
}

// args are the flags that are not as usual.
func (m Mesh) args() []string { return []string{"--context", m.Context} }
