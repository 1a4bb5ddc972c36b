package compose

import (
	"context"

	"github.com/smaran-v2/smaran/loadtest/internal/builds"
	"github.com/smaran-v2/smaran/services/version"
)

// askBuilds notes the revisions that smaran and the pods say they were built from. An image from before they said so has a label.
func (f *fleet) askBuilds(ctx context.Context, label string) {
	if f.versions.smaran = f.build(ctx, f.layout.smaranAdmin); f.versions.smaran == version.Unknown && label != "" {
		f.versions.smaran = label
	}
	var pods []string
	for _, p := range f.present() {
		pods = append(pods, f.build(ctx, p.admin))
	}
	f.versions.jarvis = builds.Join(pods)
}

// build asks an admin port; "" is one that is not published.
func (f *fleet) build(ctx context.Context, admin string) string {
	if admin == "" {
		return version.Unknown
	}
	revision, err := builds.Ask(ctx, f.client, "http://"+admin)
	if err != nil {
		f.log.Warn("which build runs is not known", "admin", admin, "error", err)
	}
	return revision
}
