package kube_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/smaran-v2/smaran/loadtest/internal/driver"
	"github.com/smaran-v2/smaran/loadtest/internal/kube/node"
	"github.com/smaran-v2/smaran/loadtest/internal/scenario"
)

// noted are signals that go on to others.
type noted struct {
	node.Signaler
	sent []node.Signal
}

func (n *noted) Signal(ctx context.Context, c node.Container, s node.Signal) error {
	n.sent = append(n.sent, s)
	return n.Signaler.Signal(ctx, c, s)
}

func TestWhatIsFrozenGoesOnWhenTheFleetIsDone(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bench) {
		signals := &noted{Signaler: b.cluster}
		b.driver.Signals = signals
		f, err := b.driver.Up(t.Context(), driver.Spec{Backend: "istio-hash", Pods: 2})
		require.NoError(t, err)
		_, err = f.Do(t.Context(), scenario.Event{Kind: scenario.KindFreeze})
		require.NoError(t, err)
		require.NoError(t, f.Down(t.Context()), "before a thaw, as where a run is interrupted")
		require.NoError(t, f.Down(t.Context()))
		require.Equal(t, []node.Signal{node.Stop, node.Continue}, signals.sent, "once")
	})
}
