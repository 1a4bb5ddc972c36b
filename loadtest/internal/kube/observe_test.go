package kube

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestAComparisonThatFailedIsNotLeftOut(t *testing.T) {
	require.Equal(t, ", and it would send 2 of 8 sessions to another pod", elsewhere(2, 8, nil))
	require.Contains(t, elsewhere(0, 8, errors.New("the ring is too large")), "is not known: the ring is too large")
}
