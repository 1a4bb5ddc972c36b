package istio

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/smaran-v2/smaran/loadtest/internal/claims"
	"github.com/smaran-v2/smaran/loadtest/internal/kube/cluster"
)

// ErrMissing is wrapped by an experiment that lacks something in the cluster. The text says what, and how to get it.
var ErrMissing = errors.New("not in this cluster")

// Env is what experiments are given.
type Env struct {
	Cluster *cluster.Client
	// Deploy is the folder of the manifests.
	Deploy string
	// Image is of a loadtest of this version, there in the cluster already.
	Image string
	Log   *slog.Logger
}

// noteFailed is why nothing follows from a run: an experiment about where requests go has to see all of them get there.
const noteFailed = "requests failed, and where they would have gone is not known: try again"

// experiment puts one claim to the test, in a namespace of its own.
type experiment struct {
	claim uint32
	run   func(context.Context, *namespace) (claims.Finding, error)
}

// all are in the order of their claims.
func all() []experiment {
	return []experiment{
		{12, scaleOut},
		{15, upgrade},
		{16, sidecar},
		{17, withoutHeader},
		{18, strict},
		{19, outage},
		{22, split},
		{23, canary},
		{24, chain},
		{25, dark},
		{26, tokenNames},
		{27, uneven},
		{28, forgery},
		{30, restart},
		{31, least},
		{32, ringed},
		{34, labels},
		{35, preStop},
		{36, metrics},
	}
}

// Claims are the numbers of the claims that experiments exist for.
func Claims() []uint32 {
	var out []uint32
	for _, e := range all() {
		out = append(out, e.claim)
	}
	return out
}

// Check says whether the cluster has Istio. It fails with ErrMissing, or as cluster.Client does.
func Check(ctx context.Context, c *cluster.Client) error {
	_, err := c.Mapper.Resource(ctx, schema.GroupVersionKind{Group: "networking.istio.io", Version: "v1", Kind: "DestinationRule"})
	if errors.Is(err, cluster.ErrNotFound) {
		return fmt.Errorf("%w: Istio: install it with scripts/kind-up", ErrMissing)
	}
	return err
}

// Conduct runs the experiment of a claim, which must be one of Claims. It fails with ErrMissing where the cluster lacks something.
func Conduct(ctx context.Context, env Env, claim uint32) (claims.Finding, error) {
	for _, e := range all() {
		if e.claim == claim {
			return e.conduct(ctx, env)
		}
	}
	return claims.Finding{}, fmt.Errorf("%w: an experiment for claim %d", ErrMissing, claim)
}

func (e experiment) conduct(ctx context.Context, env Env) (_ claims.Finding, err error) {
	n, err := open(ctx, env, e.claim)
	if err != nil {
		return claims.Finding{}, err
	}
	defer func() { err = errors.Join(err, n.close(ctx)) }()
	return e.run(ctx, n)
}
