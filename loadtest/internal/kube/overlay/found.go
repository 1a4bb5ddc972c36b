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

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/wait"

	"github.com/smaran-v2/smaran/loadtest/internal/kube/cluster"
	"github.com/smaran-v2/smaran/loadtest/internal/kube/view"
)

// Found is what a namespace was before it was changed.
type Found struct {
	// Existed says that the namespace was there.
	Existed bool `json:"existed"`
	// Objects are those of the project in it, and the namespace itself.
	Objects []*unstructured.Unstructured `json:"objects"`
	// RolledOut are the names of those Deployments that had rolled out: others can't be expected to, once they are back.
	RolledOut []string `json:"rolledOut,omitempty"`
	// holder tells this program from others that keep the same.
	holder string
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
	if !there {
		f, err = n.makeRoom(ctx, objects, by)
		return f, nil, err
	}
	kept, err := cluster.Secrets().Get(ctx, n.Cluster, n.Name, secretName)
	switch {
	case err == nil:
		return n.inherit(ctx, kept, by)
	case !errors.Is(err, cluster.ErrNotFound):
		return Found{}, nil, err
	}
	live, err := n.look(ctx, objects)
	if err != nil {
		return Found{}, nil, err
	}
	f, err = n.keep(ctx, foundIn(live), by)
	return f, nil, err
}

// foundIn is what a namespace with these objects was.
func foundIn(live []*unstructured.Unstructured) Found {
	f := Found{Existed: true}
	for _, o := range live {
		f.Objects = append(f.Objects, clean(o))
		if o.GetKind() != "Deployment" {
			continue
		}
		if d, err := cluster.Deployments().From(o); err == nil && view.RolledOut(d) == "" {
			f.RolledOut = append(f.RolledOut, o.GetName())
		}
	}
	return f
}

// makeRoom makes the namespace, or there would be no place for the Secret. An interrupt does not come between the two: the next program
// would take the namespace for the user's. For the same reason one in which nothing could be kept goes again.
func (n Namespace) makeRoom(ctx context.Context, objects []*unstructured.Unstructured, by string) (Found, error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), keepTime)
	defer cancel()
	for _, o := range objects {
		if o.GetKind() == "Namespace" && o.GetName() == n.Name {
			if err := n.Cluster.Put(ctx, o); err != nil {
				return Found{}, err
			}
		}
	}
	f, err := n.keep(ctx, Found{}, by)
	if err != nil && !errors.Is(err, ErrBusy) { // a busy one is the other program's
		err = errors.Join(err, n.giveUp(ctx))
	}
	return f, err
}

// giveUp removes a namespace that was made just now, unless something was kept in it after all, by whomever.
func (n Namespace) giveUp(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), keepTime) // the time of what failed may be over
	defer cancel()
	switch _, err := cluster.Secrets().Get(ctx, n.Cluster, n.Name, secretName); {
	case errors.Is(err, cluster.ErrNotFound):
		return n.dissolve(ctx)
	case err != nil:
		return fmt.Errorf("namespace %s was not there, and stays: %w", n.Name, err)
	default:
		return nil
	}
}

// Check fails with ErrForeign where one of the objects is there and not the project's. Remember looks too, but others may come later, and
// nobody looks where a program that was killed has.
func (n Namespace) Check(ctx context.Context, objects []*unstructured.Unstructured) error {
	_, err := n.read(ctx, objects)
	return err
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

// Restore makes the namespace what was found in it, removes what the objects added to that, and forgets. Where there was no namespace it
// goes, unless there is something in it that is not the project's.
func (n Namespace) Restore(ctx context.Context, f Found, objects []*unstructured.Unstructured) error {
	if !f.Existed {
		return n.dissolve(ctx)
	}
	if err := n.make(ctx, f.Objects, kindsOf(objects)); err != nil {
		return fmt.Errorf("%w; what was found is kept in Secret %s/%s, and the next run puts it back", err, n.Name, secretName)
	}
	return n.forget(ctx)
}

// forget removes what was kept: the namespace is anybody's from here on.
func (n Namespace) forget(ctx context.Context) error {
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
