package session_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/smaran-v2/smaran/services/session"
)

// Values from XXH64 written once more from its specification, in Python: another value would send a session to another version.
func TestBucketIsStable(t *testing.T) {
	for id, want := range map[session.ID]int{"session-1": 83, session.Example: 53} {
		require.Equal(t, want, id.Bucket(), id)
	}
}

// Each bucket gets its hundredth: of 100,000 sessions 1000, give or take five standard errors of 31.5, and the first ten a tenth.
func TestBucketsAreEven(t *testing.T) {
	const sessions = 100_000
	counted := map[int]int{}
	for i := range sessions {
		counted[session.ID(fmt.Sprintf("call-%d", i)).Bucket()]++
	}
	require.Len(t, counted, session.Buckets)
	tenth := 0
	for bucket, n := range counted {
		require.InDelta(t, sessions/session.Buckets, n, 158, "bucket %d", bucket)
		require.Less(t, bucket, session.Buckets)
		require.GreaterOrEqual(t, bucket, 0)
		if bucket < session.Buckets/10 {
			tenth += n
		}
	}
	require.InDelta(t, sessions/10, tenth, 475, "five standard errors of 95")
}
