package stage

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"net"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/yaml"

	"github.com/smaran-v2/smaran/loadtest/internal/conduct"
	"github.com/smaran-v2/smaran/loadtest/internal/kube/cluster"
	"github.com/smaran-v2/smaran/loadtest/internal/kube/view"
)

// JobName is the Job's, and its container's; the pods have it as label app.
const JobName = "loadtest"

//go:embed job.yaml
var manifest []byte

// ErrJob is returned, wrapped with the reason, for a Job whose generator did not come up.
var ErrJob = errors.New("the generator's Job")

// Stage starts generators in one namespace of a cluster.
type Stage struct {
	Cluster   *cluster.Client
	Namespace string
	// Image overrides the manifest's, where it is not empty.
	Image string
	// Watch follows the namespace while a generator starts and goes.
	Watch func(context.Context) (*view.View, error)
	// Dial connects to a port of a pod.
	Dial func(ctx context.Context, pod string, port int) (net.Conn, error)
	// Log reads a container's last lines.
	Log func(ctx context.Context, pod, container string) (string, error)
}

// Bounds of a Job beside the run it is for.
const (
	startTime = 2 * time.Minute
	// spare is how long a Job may take beyond its run; the cluster ends it then, if nobody else does.
	spare = 5 * time.Minute
)

// Job is the one that a run of about so long needs.
func Job(image string, about time.Duration) (*batchv1.Job, error) {
	job := &batchv1.Job{}
	if err := yaml.UnmarshalStrict(manifest, job); err != nil {
		return nil, fmt.Errorf("%w: its manifest: %w", ErrJob, err)
	}
	if image != "" {
		job.Spec.Template.Spec.Containers[0].Image = image
	}
	job.Spec.ActiveDeadlineSeconds = ptr.To(int64((about + spare).Seconds()))
	return job, nil
}

// Start implements conduct.Stage. It fails with ErrJob, and with what view.Trouble has where it was that.
func (s *Stage) Start(ctx context.Context, about time.Duration) (_ conduct.Player, err error) {
	job, err := Job(s.Image, about)
	if err != nil {
		return nil, err
	}
	v, err := s.Watch(ctx)
	if err != nil {
		return nil, err
	}
	p := &player{stage: s, view: v}
	defer func() {
		if err != nil {
			remove, cancel := context.WithTimeout(context.WithoutCancel(ctx), startTime)
			defer cancel()
			err = errors.Join(err, p.Remove(remove))
		}
	}()
	job.Namespace = s.Namespace
	if err := s.clear(ctx, v); err != nil { // one that was killed may have left its own
		return nil, fmt.Errorf("%w: %w", ErrJob, err)
	}
	if err := cluster.Jobs().Create(ctx, s.Cluster, s.Namespace, job); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrJob, err)
	}
	made, err := cluster.Jobs().Get(ctx, s.Cluster, s.Namespace, JobName)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrJob, err)
	}
	p.uid = made.UID
	starting, cancel := context.WithTimeout(ctx, startTime)
	defer cancel()
	if err := v.Await(starting, p.running); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrJob, err)
	}
	if p.conn, err = s.reach(starting, p.pod); err != nil {
		return nil, err
	}
	return p, nil
}

// running waits for the generator's own container; its sidecar is up then.
func (p *player) running(state view.State) (string, error) {
	pods := state.PodsOf(JobName)
	if len(pods) == 0 {
		return "the Job's pod to be made", nil
	}
	pod := pods[len(pods)-1]
	p.pod = pod.Name
	if why := view.Trouble(pod); why != nil {
		return "", why
	}
	c := view.Container(pod, JobName)
	switch {
	case c == nil || c.State.Waiting != nil:
		return fmt.Sprintf("pod %s to start (%s)", pod.Name, pod.Status.Phase), nil
	case c.State.Terminated != nil:
		return "", fmt.Errorf("%w: pod %s ended at once: exit code %d", ErrJob, pod.Name, c.State.Terminated.ExitCode)
	default:
		return "", nil
	}
}

// retryEvery is the pause between two tries to reach a generator that has only just started.
const retryEvery = 200 * time.Millisecond

// reach connects to the generator. It speaks first, so that a connection over which nothing comes is no connection.
func (s *Stage) reach(ctx context.Context, pod string) (net.Conn, error) {
	var last error
	for {
		conn, err := s.Dial(ctx, pod, conduct.ControlPort)
		if err == nil {
			if conn, err = awaitFirst(ctx, conn); err == nil {
				return conn, nil
			}
		}
		if last == nil || ctx.Err() == nil {
			last = err
		}
		timer := time.NewTimer(retryEvery)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return nil, fmt.Errorf("%w: connect to pod %s: %w", ErrJob, pod, last)
		}
	}
}

// player is a Job's generator.
type player struct {
	stage *Stage
	view  *view.View
	// uid is the Job's, empty before it is known.
	uid  types.UID
	pod  string
	conn net.Conn
}

// Conn implements conduct.Player.
func (p *player) Conn() net.Conn { return p.conn }

// Words implements conduct.Player.
func (p *player) Words(ctx context.Context) string {
	if p.pod == "" {
		return ""
	}
	said, err := p.stage.Log(ctx, p.pod, JobName)
	if err != nil {
		return ""
	}
	return said
}

// Remove implements conduct.Player. A Job that another program has put in this one's place, as it does with a namespace that it takes over,
// stays.
func (p *player) Remove(ctx context.Context) error {
	if p.conn != nil {
		_ = p.conn.Close() // whoever served it may have
	}
	defer p.view.Close()
	live, err := cluster.Jobs().Get(ctx, p.stage.Cluster, p.stage.Namespace, JobName)
	switch {
	case err == nil && p.uid != "" && live.UID != p.uid:
		return nil
	case err != nil && !errors.Is(err, cluster.ErrNotFound):
		return err
	}
	return p.stage.clear(ctx, p.view)
}

// clear deletes the Job, and returns when its pods are gone too.
func (s *Stage) clear(ctx context.Context, v *view.View) error {
	if err := cluster.Jobs().Delete(ctx, s.Cluster, s.Namespace, JobName, -1); err != nil {
		return err
	}
	return v.Await(ctx, func(state view.State) (string, error) {
		if pods := state.PodsOf(JobName); len(pods) > 0 {
			return fmt.Sprintf("pod %s to end", pods[0].Name), nil
		}
		return "", nil
	})
}
