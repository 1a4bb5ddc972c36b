package kube_test

import (
	"context"
	"fmt"
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

// deaf are signals of which the answers of some are lost.
type deaf struct {
	noted
	lost map[node.Signal]int
}

func (d *deaf) Signal(ctx context.Context, c node.Container, s node.Signal) error {
	err := d.noted.Signal(ctx, c, s)
	if d.lost[s] > 0 {
		d.lost[s]--
		return fmt.Errorf("%w: %w", node.ErrNode, node.ErrUncertain)
	}
	return err
}

func TestWhatMayBeFrozenGoesOn(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bench) {
		signals := &deaf{noted{Signaler: b.cluster}, map[node.Signal]int{node.Stop: 1, node.Continue: 1}}
		b.driver.Signals = signals
		f, err := b.driver.Up(t.Context(), driver.Spec{Backend: "istio-hash", Pods: 2})
		require.NoError(t, err)
		_, err = f.Do(t.Context(), scenario.Event{Kind: scenario.KindFreeze})
		require.ErrorIs(t, err, node.ErrNode)
		require.ErrorIs(t, f.Down(t.Context()), node.ErrNode)
		require.NoError(t, f.Down(t.Context()), "it tries again")
		require.NoError(t, f.Down(t.Context()))
		require.Equal(t, []node.Signal{node.Stop, node.Continue, node.Continue}, signals.sent)
	})
}

func TestWhatCouldNotBeFrozenIsNot(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bench) {
		b.driver.Signals = noSignals{}
		f, err := b.driver.Up(t.Context(), driver.Spec{Backend: "istio-hash", Pods: 2})
		require.NoError(t, err)
		_, err = f.Do(t.Context(), scenario.Event{Kind: scenario.KindFreeze})
		require.ErrorIs(t, err, node.ErrNode)
		require.NoError(t, f.Down(t.Context()))
	})
}
