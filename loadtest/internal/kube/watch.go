package kube

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"

	"github.com/smaran-v2/smaran/loadtest/internal/kube/cluster"
	"github.com/smaran-v2/smaran/loadtest/internal/kube/proxies"
	"github.com/smaran-v2/smaran/loadtest/internal/kube/view"
)

// followed is a proxy that routes to jarvis-service.
type followed struct {
	proxy *proxies.Proxy
	// gateway: else a sidecar of smaran's.
	gateway  bool
	ring     uint64
	arrivals proxies.Arrivals
}

// watch follows the proxies of a fleet.
type watch struct {
	fleet   *fleet
	proxies []*followed
	// remark is why some proxies are not among them, if so.
	remark string
	// version of Envoy.
	version string

	stop context.CancelFunc
	done sync.WaitGroup
}

// proxies are those of smaran's pods and of the ingress gateways. That the user may not see the gateways is a remark.
func (f *fleet) proxies(ctx context.Context) (found []*followed, remark string, err error) {
	add := func(namespace, pod string, gateway bool) {
		dial := func(ctx context.Context) (net.Conn, error) {
			return f.driver.Dial(ctx, namespace, pod, proxies.AdminPort)
		}
		found = append(found, &followed{proxy: proxies.New(pod, dial), gateway: gateway})
	}
	for _, p := range f.view.Now().PodsOf(Smaran) {
		add(Namespace, p.Name, false)
	}
	gateways, err := cluster.Pods().List(ctx, f.driver.Cluster, gatewayNamespace, gatewaySelector)
	switch {
	case errors.Is(err, cluster.ErrForbidden):
		return found, fmt.Sprintf("ingress gateways were not asked: %v", err), nil
	case err != nil:
		return nil, "", err
	case len(gateways) == 0:
		remark = "there is no ingress gateway"
	}
	var away []string
	for _, p := range gateways {
		if view.Ready(p) {
			add(gatewayNamespace, p.Name, true)
		} else {
			away = append(away, p.Name)
		}
	}
	if len(away) > 0 {
		remark = "ingress gateways that were not ready at the start were not asked: " + strings.Join(away, ", ")
	}
	return found, remark, nil
}

// begin follows every proxy until close.
func (w *watch) begin(ctx context.Context) error {
	following, stop := context.WithCancel(context.WithoutCancel(ctx))
	w.stop = stop
	var arrivals []*proxies.Arrivals
	for i, p := range w.proxies {
		if i == 0 {
			version, err := p.proxy.Version(ctx)
			if err != nil {
				return err
			}
			w.version = version
		}
		arrivals = append(arrivals, &p.arrivals)
	}
	w.fleet.ledger.begin(arrivals)
	for _, p := range w.proxies {
		w.done.Go(func() { proxies.Follow(following, w.fleet.driver.Clock, p.proxy, outbound(), &p.arrivals) })
	}
	return nil
}

func (w *watch) close() {
	if w.stop != nil {
		w.stop()
	}
	w.done.Wait()
	for _, p := range w.proxies {
		p.proxy.Close()
	}
}
