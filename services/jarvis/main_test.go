package jarvis_test

import (
	"context"
	"fmt"
	"io"
	"os"
	"testing"

	"go.uber.org/goleak"

	"github.com/smaran-v2/smaran/services/jarvis"
)

// childVariable has the test's own program be a pod, for tests that stop and kill processes.
const childVariable = "TEST_IS_A_POD"

func TestMain(m *testing.M) {
	if os.Getenv(childVariable) != "" {
		if err := jarvis.Run(context.Background(), nil, os.Environ(), io.Discard, io.Discard); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	goleak.VerifyTestMain(m)
}
