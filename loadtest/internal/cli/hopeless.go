package cli

import (
	"errors"
	"slices"

	"github.com/smaran-v2/smaran/loadtest/internal/compose"
	"github.com/smaran-v2/smaran/loadtest/internal/kube"
	"github.com/smaran-v2/smaran/loadtest/internal/kube/cluster"
	"github.com/smaran-v2/smaran/loadtest/internal/kube/overlay"
	"github.com/smaran-v2/smaran/loadtest/internal/kube/view"
	"github.com/smaran-v2/smaran/loadtest/internal/manifests"
)

// errStopped is returned, wrapped with the reason, for a batch that ended before its last run because every further one would have failed too.
var errStopped = errors.New("no further run would go better")

// hopeless says whether a run failed for what the next one meets again: somebody has to change something first, as the error says.
func hopeless(err error) bool {
	return slices.ContainsFunc([]error{
		compose.ErrNoDocker, compose.ErrRunning, compose.ErrFile, compose.ErrTaken,
		overlay.ErrBusy, overlay.ErrLost, overlay.ErrForeign,
		cluster.ErrForbidden, view.ErrImage,
		manifests.ErrRender, kube.ErrOverlay,
	}, func(sentinel error) bool { return errors.Is(err, sentinel) })
}
