package tunnel

import (
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"
)

func TestNobodyEntersAClosedGate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := &gate{}
		require.True(t, g.enter())
		closed := false
		go func() {
			g.close()
			closed = true
		}()
		synctest.Wait()
		require.False(t, closed, "somebody is inside")
		require.False(t, g.enter())
		g.inside.Done()
		synctest.Wait()
		require.True(t, closed)
	})
}
