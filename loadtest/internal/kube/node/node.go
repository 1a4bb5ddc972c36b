// Package node sends signals to containers' processes on the nodes of a kind cluster, whose nodes are containers of this machine. The
// API has no way to do that: deleting a pod without grace still sends SIGTERM first, and nothing there stops a process for a while.
package node

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"slices"
	"strings"
	"time"

	"github.com/smaran-v2/smaran/loadtest/internal/child"
)

// Errors of this package.
var (
	// ErrNode is returned where a node can't be reached that way.
	ErrNode = errors.New("signals need a kind cluster on this machine")
	// ErrUncertain comes with ErrNode where the signal may have been sent all the same.
	ErrUncertain = errors.New("it is not known whether the process got it")
)

// endGrace is how long the engine's program may take to end once its answer is not wanted any more. It is killed then.
const endGrace = 5 * time.Second

// Signal is one that this package sends, as kill(1) names it.
type Signal string

// The signals.
const (
	Kill     Signal = "KILL"
	Stop     Signal = "STOP"
	Continue Signal = "CONT"
)

// Container is a running one.
type Container struct {
	// Node is the node's name, and ProviderID its spec.providerID: kind://docker/CLUSTER/NODE.
	Node, ProviderID string
	// ID is status.containerStatuses[].containerID: containerd://….
	ID string
}

// Signaler sends signals.
type Signaler interface {
	// Signal the container's first process. It fails with ErrNode, and with ErrUncertain too once it was tried.
	Signal(ctx context.Context, c Container, s Signal) error
}

// Kind is the Signaler of kind clusters.
type Kind struct {
	// Run runs a program and gives what it said; nil is the real one.
	Run func(ctx context.Context, name string, args ...string) ([]byte, error)
}

// engines are what kind runs nodes with; each has an exec of the same form.
func engines() []string { return []string{"docker", "podman", "nerdctl"} }

// script signals the process that is the first one of the container's PID namespace. It finds it by its cgroup, which every runtime
// names after the container, so that the node needs no tool of its runtime's.
const script = `
for file in $(grep -ls -- "$2" /proc/[0-9]*/cgroup); do
	if grep -qs '^NSpid:.*[[:space:]]1$' "${file%/cgroup}/status"; then
		pid=${file#/proc/}
		kill -s "$1" "${pid%/cgroup}"
		exit
	fi
done
echo "no process of container $2"
exit 1
`

// Signal implements Signaler.
func (k Kind) Signal(ctx context.Context, c Container, s Signal) error {
	engine, name, err := engineOf(c)
	if err != nil {
		return err
	}
	_, id, ok := strings.Cut(c.ID, "://")
	if !ok || id == "" {
		return fmt.Errorf("%w: container id %q: want runtime://id", ErrNode, c.ID)
	}
	run := k.Run
	if run == nil {
		run = output
	}
	if said, err := run(ctx, engine, "exec", name, "sh", "-ec", script, "sh", string(s), id); err != nil {
		return fmt.Errorf("%w: %s exec %s: %w: %s: %w", ErrNode, engine, name, err, strings.TrimSpace(string(said)), ErrUncertain)
	}
	return nil
}

// engineOf takes kind://docker/CLUSTER/NODE apart.
func engineOf(c Container) (engine, name string, err error) {
	rest, isKind := strings.CutPrefix(c.ProviderID, "kind://")
	parts := strings.Split(rest, "/")
	if !isKind || len(parts) != 3 || !slices.Contains(engines(), parts[0]) {
		return "", "", fmt.Errorf("%w: node %s has providerID %q, not kind://docker/…; use stop in place of kill, and no freeze", ErrNode, c.Node, c.ProviderID)
	}
	return parts[0], parts[2], nil
}

// output runs a program that a terminal's Ctrl-C does not reach: whether a signal was sent is known only if it ends by itself.
func output(ctx context.Context, name string, args ...string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.WaitDelay = endGrace
	cmd.Cancel = func() error { return child.End(cmd) }
	child.OwnGroup(cmd)
	return cmd.CombinedOutput()
}
