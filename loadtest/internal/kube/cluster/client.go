package cluster

import (
	"context"
	"errors"
	"fmt"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
)

// Errors of this package; they come wrapped with what was asked for.
var (
	// ErrConfig is returned where no kubeconfig names the cluster.
	ErrConfig = errors.New("no such cluster is configured")
	// ErrForbidden is returned where the user of the kubeconfig may not do what is needed.
	ErrForbidden = errors.New("the kubeconfig's user lacks a permission")
	// ErrUnreachable is returned where the API server does not answer.
	ErrUnreachable = errors.New("the API server can't be reached")
	// ErrNotFound is returned for an object, or a kind of object, that the cluster does not have.
	ErrNotFound = errors.New("the cluster does not have it")
)

// Client is one cluster.
type Client struct {
	// Dynamic and Mapper may be fakes; then there is no REST.
	Dynamic dynamic.Interface
	Mapper  Mapper
	// REST reaches the API server itself, for streams.
	REST *rest.Config
}

// Limits on requests a second: there is one user, and it waits for each change.
const (
	requestRate  = 50
	requestBurst = 100
)

// answerTime bounds the first question, which finds out whether anybody is there.
const answerTime = 30 * time.Second

// Connect reads the kubeconfig (KUBECONFIG, or ~/.kube/config) for a context, and asks the API server for its version. It fails with
// ErrConfig, ErrUnreachable or ErrForbidden.
func Connect(ctx context.Context, kubeContext string) (*Client, string, error) {
	rules := clientcmd.NewDefaultClientConfigLoadingRules()
	config, err := clientcmd.NewNonInteractiveDeferredLoadingClientConfig(rules, &clientcmd.ConfigOverrides{CurrentContext: kubeContext}).ClientConfig()
	if err != nil {
		return nil, "", fmt.Errorf("%w: context %q: %w: `kubectl config get-contexts` lists them", ErrConfig, kubeContext, err)
	}
	config.QPS, config.Burst = requestRate, requestBurst
	config.UserAgent = "smaran-loadtest"
	config.WarningHandlerWithContext = rest.NoWarnings{}
	d, err := dynamic.NewForConfig(config)
	if err != nil {
		return nil, "", fmt.Errorf("%w: %w", ErrConfig, err)
	}
	discovery, err := newDiscovery(config)
	if err != nil {
		return nil, "", fmt.Errorf("%w: %w", ErrConfig, err)
	}
	asked, cancel := context.WithTimeout(ctx, answerTime)
	defer cancel()
	version, err := discovery.version(asked)
	if err != nil {
		return nil, "", fmt.Errorf("%w: %s: %w: is the cluster running?", ErrUnreachable, config.Host, explain("read the version", err))
	}
	return &Client{Dynamic: d, Mapper: discovery, REST: config}, version, nil
}

// explain wraps an API server's error with the sentinel that fits and what was being done.
func explain(doing string, err error) error {
	switch {
	case err == nil:
		return nil
	case apierrors.IsForbidden(err), apierrors.IsUnauthorized(err):
		return fmt.Errorf("%s: %w: %w", doing, ErrForbidden, err)
	case apierrors.IsNotFound(err):
		return fmt.Errorf("%s: %w: %w", doing, ErrNotFound, err)
	default:
		return fmt.Errorf("%s: %w", doing, err)
	}
}
