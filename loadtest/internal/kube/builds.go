package kube

import (
	"context"
	"net"
	"net/http"

	corev1 "k8s.io/api/core/v1"

	"github.com/smaran-v2/smaran/loadtest/internal/builds"
	"github.com/smaran-v2/smaran/services/version"
)

// revisions are those that smaran and the pods say they were built from; an image's tag does not.
type revisions struct{ smaran, jarvis string }

// askBuilds asks the pods that are there.
func (f *fleet) askBuilds(ctx context.Context) revisions {
	now := f.view.Now()
	of := func(app string) string {
		var all []string
		for _, p := range now.PodsOf(app) {
			all = append(all, f.build(ctx, p))
		}
		return builds.Join(all)
	}
	return revisions{smaran: of(Smaran), jarvis: of(Jarvis)}
}

func (f *fleet) build(ctx context.Context, p *corev1.Pod) string {
	port := containerPort(p, adminPortName)
	if port == 0 {
		return version.Unknown
	}
	transport := &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return f.driver.Dial(ctx, Namespace, p.Name, port)
		},
		DisableKeepAlives: true,
	}
	defer transport.CloseIdleConnections()
	revision, err := builds.Ask(ctx, &http.Client{Transport: transport}, "http://"+p.Name)
	if err != nil {
		f.driver.Log.Warn("which build runs is not known", "pod", p.Name, "error", err)
	}
	return revision
}
