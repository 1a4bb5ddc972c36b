package affinity_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/smaran-v2/smaran/services/affinity"
)

func TestModulo(t *testing.T) {
	three, four := affinity.NewModulo(hosts4(3)), affinity.NewModulo(hosts4(4))
	hash := affinity.HashValue("session-1")
	require.Equal(t, 0, three.Pick(hash, 0))
	require.Equal(t, 3, four.Pick(hash, 0))
	require.Equal(t, []int{1, 2, 0}, []int{three.Pick(hash, 1), three.Pick(hash, 2), three.Pick(hash, 3)})
	require.Equal(t, 2, three.Pick(^uint64(0)-1, 0), "the sum of hash and attempt must not overflow")
	require.Equal(t, 1, three.Pick(^uint64(0)-1, 2))
}
