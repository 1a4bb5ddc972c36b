package overlay

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/smaran-v2/smaran/loadtest/internal/kube/cluster"
)

// ErrBusy is returned where another program changes the namespace right now.
var ErrBusy = errors.New("another load test is using this cluster")

// ErrLost is returned to a program that the namespace does not belong to any more: it was silent for so long, as on a machine that slept, that
// another one took over, or somebody removed what was kept. It has to change nothing from there on.
var ErrLost = errors.New("the namespace was taken over")

// secretName is where what was found is kept; a Secret, because it may hold some.
const secretName = "loadtest-found"

// Annotations of the Secret.
const (
	annotationStarted = "smaran-v2/started"
	annotationBy      = "smaran-v2/by"
	annotationBeat    = "smaran-v2/heartbeat"
	annotationHolder  = "smaran-v2/holder"
	dataKey           = "found.json.gz"
)

// keepTime bounds making the Secret, which no interrupt ends.
const keepTime = 20 * time.Second

// A holder that lives says so every BeatEvery. One that was not heard of for staleAfter is dead, but its timestamps are of its own
// clock, which may be far from ours: it has to be silent for leastWatch while it is watched.
const (
	BeatEvery  = 10 * time.Second
	staleAfter = 45 * time.Second
	leastWatch = 3 * BeatEvery / 2
)

// inherit takes over what a dead program kept. Whether it is dead shows within a while.
func (n Namespace) inherit(ctx context.Context, kept *corev1.Secret, by string) (Found, *Earlier, error) {
	who := &Earlier{By: kept.Annotations[annotationBy]}
	who.Started, _ = time.Parse(time.RFC3339, kept.Annotations[annotationStarted]) // for a message only
	if err := n.outwait(ctx, kept, who); err != nil {
		return Found{}, nil, err
	}
	f, err := unpack(kept.Data[dataKey])
	if err != nil {
		return Found{}, nil, fmt.Errorf("read what an earlier load test kept in Secret %s/%s: %w; delete it, and the namespace stays as it is", n.Name, secretName, err)
	}
	f.holder = rand.Text()
	// Of two that outwaited it, one takes over: the version that was watched is the condition.
	err = cluster.Secrets().Merge(ctx, n.Cluster, n.Name, secretName,
		map[string]any{"metadata": map[string]any{"annotations": n.annotations(f, by), "resourceVersion": kept.ResourceVersion}})
	if err != nil {
		return Found{}, nil, lostRace(err)
	}
	return f, who, nil
}

// lostRace makes ErrBusy of what the cluster answers to the slower of two programs.
func lostRace(err error) error {
	if apierrors.IsAlreadyExists(err) || apierrors.IsConflict(err) {
		return fmt.Errorf("%w: it began just now; try again when it is over: %w", ErrBusy, err)
	}
	return err
}

// patience is how long the holder of a Secret has to be silent while it is watched: a timestamp that is old shortens it to leastWatch,
// one that is of the future does not make it longer than staleAfter.
func (n Namespace) patience(kept *corev1.Secret) time.Duration {
	heard, err := time.Parse(time.RFC3339, kept.Annotations[annotationBeat])
	if err != nil {
		return leastWatch // no program's timestamp
	}
	return min(max(staleAfter-n.Clock.Since(heard), leastWatch), staleAfter)
}

// outwait returns when the holder of a Secret has been silent for its patience, by this program's clock. It fails with ErrBusy as soon
// as the holder is heard of.
func (n Namespace) outwait(ctx context.Context, kept *corev1.Secret, who *Earlier) error {
	last := kept.Annotations[annotationBeat]
	start, patience := n.Clock.Now(), n.patience(kept)
	if n.Say != nil {
		n.Say(fmt.Sprintf("seeing whether the load test of %s still runs (%v)", who.By, patience.Round(time.Second)))
	}
	for {
		left := patience - n.Clock.Since(start)
		if left <= 0 {
			return nil
		}
		timer := n.Clock.NewTimer(min(left, askAgain))
		select {
		case <-timer.Chan():
		case <-ctx.Done():
			timer.Stop()
			return fmt.Errorf("%w: %s, since %s: %w", ErrBusy, who.By, kept.Annotations[annotationStarted], context.Cause(ctx))
		}
		now, err := cluster.Secrets().Get(ctx, n.Cluster, n.Name, secretName)
		if errors.Is(err, cluster.ErrNotFound) || err == nil && now.Annotations[annotationBeat] != last {
			return fmt.Errorf("%w: %s, since %s; try again when it is over", ErrBusy, who.By, kept.Annotations[annotationStarted])
		}
		if err != nil {
			return err
		}
	}
}

// annotations are those of a holder that begins.
func (n Namespace) annotations(f Found, by string) map[string]string {
	now := n.Clock.Now().UTC().Format(time.RFC3339)
	return map[string]string{annotationBy: by, annotationStarted: now, annotationBeat: now, annotationHolder: f.holder}
}

// keep writes the Secret, whatever becomes of ctx: one that nobody holds would have the next program wait for its owner's end. It fails with
// ErrBusy where there is one.
func (n Namespace) keep(ctx context.Context, f Found, by string) (Found, error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), keepTime)
	defer cancel()
	raw, err := pack(f)
	if err != nil {
		return Found{}, err
	}
	f.holder = rand.Text()
	err = lostRace(cluster.Secrets().Create(ctx, n.Cluster, n.Name, &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Name: secretName, Namespace: n.Name, Annotations: n.annotations(f, by)},
		Data:       map[string][]byte{dataKey: raw},
	}))
	if err != nil {
		return Found{}, err
	}
	return f, nil
}

// Beat says that this program lives. It fails with ErrLost.
func (n Namespace) Beat(ctx context.Context, f Found) error {
	kept, err := n.held(ctx, f)
	if err != nil {
		return err
	}
	// Who takes over meanwhile is not disturbed: the version that was read is the condition.
	now := n.Clock.Now().UTC().Format(time.RFC3339)
	return cluster.Secrets().Merge(ctx, n.Cluster, n.Name, secretName, map[string]any{
		"metadata": map[string]any{"annotations": map[string]string{annotationBeat: now}, "resourceVersion": kept.ResourceVersion},
	})
}

// Held fails with ErrLost where the namespace is not this program's any more. One that is gone, or goes, is nobody else's.
func (n Namespace) Held(ctx context.Context, f Found) error {
	live, err := n.Cluster.Read(ctx, n.object())
	if errors.Is(err, cluster.ErrNotFound) || err == nil && live.GetDeletionTimestamp() != nil {
		return nil
	}
	if err == nil {
		_, err = n.held(ctx, f)
	}
	return err
}

// held is the Secret, if it is this program's.
func (n Namespace) held(ctx context.Context, f Found) (*corev1.Secret, error) {
	kept, err := cluster.Secrets().Get(ctx, n.Cluster, n.Name, secretName)
	switch {
	case errors.Is(err, cluster.ErrNotFound):
		return nil, fmt.Errorf("%w: Secret %s/%s, which said whose it is, is gone: %w", ErrLost, n.Name, secretName, err)
	case err != nil:
		return nil, err
	case kept.Annotations[annotationHolder] != f.holder:
		return nil, fmt.Errorf("%w: by %s, since %s", ErrLost, kept.Annotations[annotationBy], kept.Annotations[annotationStarted])
	default:
		return kept, nil
	}
}
