package overlay

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/wait"

	"github.com/smaran-v2/smaran/loadtest/internal/kube/cluster"
)

// ErrBusy is returned where another program changes the namespace right now.
var ErrBusy = errors.New("another load test is using this cluster")

// secretName is where what was found is kept; a Secret, because it may hold some.
const secretName = "loadtest-found"

// Annotations of the Secret.
const (
	annotationStarted = "smaran-v2/started"
	annotationBy      = "smaran-v2/by"
	annotationBeat    = "smaran-v2/heartbeat"
	dataKey           = "found.json.gz"
)

// A holder that lives says so every BeatEvery. One that was not heard of for staleAfter is dead, but its timestamps are of its own
// clock, which may be far from ours: it has to be silent for leastWatch while it is watched.
const (
	BeatEvery  = 10 * time.Second
	staleAfter = 45 * time.Second
	leastWatch = 3 * BeatEvery / 2
)

// Found is what a namespace was before it was changed.
type Found struct {
	// Existed says that the namespace was there.
	Existed bool `json:"existed"`
	// Objects are those of the project in it, and the namespace itself.
	Objects []*unstructured.Unstructured `json:"objects"`
}

// Earlier is what a program that was killed left behind.
type Earlier struct {
	By      string
	Started time.Time
}

// Remember reads what of the objects is in the namespace and keeps it. Where a program that was killed kept something already, that is what
// was found, and earlier says whose it was. It fails with ErrBusy while that program lives.
func (n Namespace) Remember(ctx context.Context, objects []*unstructured.Unstructured, by string) (f Found, earlier *Earlier, err error) {
	there, err := n.exists(ctx)
	if err != nil {
		return Found{}, nil, err
	}
	if !there { // it is made now, or there would be no place for the Secret
		for _, o := range objects {
			if o.GetKind() == "Namespace" && o.GetName() == n.Name {
				if err := n.Cluster.Put(ctx, o); err != nil {
					return Found{}, nil, err
				}
			}
		}
		return f, nil, n.keep(ctx, f, by)
	}
	kept, err := cluster.Secrets().Get(ctx, n.Cluster, n.Name, secretName)
	switch {
	case err == nil:
		return n.inherit(ctx, kept, by)
	case !errors.Is(err, cluster.ErrNotFound):
		return Found{}, nil, err
	}
	f.Existed = true
	if f.Objects, err = n.look(ctx, objects); err != nil {
		return Found{}, nil, err
	}
	return f, nil, n.keep(ctx, f, by)
}

// object is the namespace itself.
func (n Namespace) object() *unstructured.Unstructured {
	ns := &unstructured.Unstructured{}
	ns.SetAPIVersion("v1")
	ns.SetKind("Namespace")
	ns.SetName(n.Name)
	return ns
}

// askAgain is the pause between two looks at a namespace that is being deleted.
const askAgain = time.Second

// exists says whether the namespace is there. One that is being deleted takes nothing new: its end is waited for.
func (n Namespace) exists(ctx context.Context) (there bool, err error) {
	err = wait.PollUntilContextCancel(ctx, askAgain, true, func(ctx context.Context) (bool, error) {
		live, err := n.Cluster.Read(ctx, n.object())
		switch {
		case errors.Is(err, cluster.ErrNotFound):
			there = false
			return true, nil
		case err != nil:
			return false, err
		default:
			there = true
			return live.GetDeletionTimestamp() == nil, nil
		}
	})
	if wait.Interrupted(err) {
		err = fmt.Errorf("wait for namespace %s, which is being deleted: %w", n.Name, err)
	}
	return there, err
}

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
	now := n.Clock.Now().UTC().Format(time.RFC3339)
	annotations := map[string]string{annotationBy: by, annotationStarted: now, annotationBeat: now}
	// Of two that outwaited it, one takes over: the version that was watched is the condition.
	err = cluster.Secrets().Merge(ctx, n.Cluster, n.Name, secretName,
		map[string]any{"metadata": map[string]any{"annotations": annotations, "resourceVersion": kept.ResourceVersion}})
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

func (n Namespace) keep(ctx context.Context, f Found, by string) error {
	raw, err := pack(f)
	if err != nil {
		return err
	}
	at := n.Clock.Now().UTC().Format(time.RFC3339)
	return lostRace(cluster.Secrets().Create(ctx, n.Cluster, n.Name, &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{
			Name: secretName, Namespace: n.Name,
			Annotations: map[string]string{annotationBy: by, annotationStarted: at, annotationBeat: at},
		},
		Data: map[string][]byte{dataKey: raw},
	}))
}

// Beat says that this program lives.
func (n Namespace) Beat(ctx context.Context) error {
	return cluster.Secrets().Merge(ctx, n.Cluster, n.Name, secretName,
		map[string]any{"metadata": map[string]any{"annotations": map[string]string{annotationBeat: n.Clock.Now().UTC().Format(time.RFC3339)}}})
}

// Restore makes the namespace what was found in it, removes what the objects added to that, and forgets.
func (n Namespace) Restore(ctx context.Context, f Found, objects []*unstructured.Unstructured) error {
	if !f.Existed {
		if err := n.Cluster.Remove(ctx, n.object()); err != nil {
			return err
		}
		_, err := n.exists(ctx)
		return err
	}
	if err := n.make(ctx, f.Objects, kindsOf(objects)); err != nil {
		return fmt.Errorf("%w; what was found is kept in Secret %s/%s, and the next run puts it back", err, n.Name, secretName)
	}
	return cluster.Secrets().Delete(ctx, n.Cluster, n.Name, secretName, -1)
}

func pack(f Found) ([]byte, error) {
	var buf bytes.Buffer
	w := gzip.NewWriter(&buf)
	if err := json.NewEncoder(w).Encode(f); err != nil {
		return nil, fmt.Errorf("encode what was found: %w", err)
	}
	if err := w.Close(); err != nil {
		return nil, fmt.Errorf("encode what was found: %w", err)
	}
	return buf.Bytes(), nil
}

func unpack(raw []byte) (Found, error) {
	var f Found
	r, err := gzip.NewReader(bytes.NewReader(raw))
	if err != nil {
		return f, err
	}
	text, err := io.ReadAll(r)
	if err != nil {
		return f, err
	}
	return f, json.Unmarshal(text, &f)
}
