package tally_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"
	"pgregory.net/rapid"

	"github.com/smaran-v2/smaran/loadtest/internal/tally"
)

func TestAHistogramSurvivesItsEncoding(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		h := tally.NewHistogram()
		for _, us := range rapid.SliceOf(rapid.Int64Range(0, int64(3*time.Minute/time.Microsecond))).Draw(t, "values") {
			h.Record(time.Duration(us) * time.Microsecond)
		}
		raw, err := h.MarshalBinary()
		require.NoError(t, err)
		var back tally.Histogram
		require.NoError(t, back.UnmarshalBinary(raw))
		require.True(t, proto.Equal(h.Proto(), back.Proto()))
		require.Equal(t, h.Quantile(0.999), back.Quantile(0.999))
		back.Merge(h) // and can be added to
		require.Equal(t, 2*h.Count(), back.Count())
	})
}

func TestWhatIsNoHistogramIsRefused(t *testing.T) {
	var h tally.Histogram
	require.ErrorIs(t, h.UnmarshalBinary(nil), tally.ErrHistogram)
	require.ErrorIs(t, h.UnmarshalBinary([]byte("not a histogram at all")), tally.ErrHistogram)
}
