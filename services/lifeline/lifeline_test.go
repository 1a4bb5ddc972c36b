package lifeline_test

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/smaran-v2/smaran/services/lifeline"
)

const childVariable = "LIFELINE_TEST_CHILD"

// TestMain is also the child: it waits for its lifeline and says why it ended.
func TestMain(m *testing.M) {
	if os.Getenv(childVariable) != "" {
		ctx, err := lifeline.Context(context.Background(), os.Environ())
		if err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		<-ctx.Done()
		fmt.Println(context.Cause(ctx))
		os.Exit(0)
	}
	goleak.VerifyTestMain(m)
}

func TestChildEndsWhenTheLineIsCut(t *testing.T) {
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), childVariable+"=1")
	cut, started, err := lifeline.Attach(cmd)
	require.NoError(t, err)
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	started()

	require.NoError(t, cut.Close())
	said, err := io.ReadAll(out)
	require.NoError(t, err)
	require.NoError(t, cmd.Wait())
	require.Equal(t, lifeline.ErrParentGone.Error()+"\n", string(said))
}

func TestContextWithoutALineIsTheSame(t *testing.T) {
	ctx, err := lifeline.Context(t.Context(), []string{"PATH=/bin"})
	require.NoError(t, err)
	require.Equal(t, t.Context(), ctx)
}

func TestContextRefusesNonsense(t *testing.T) {
	for _, value := range []string{"", "three", "-1", "987654"} {
		_, err := lifeline.Context(t.Context(), []string{lifeline.Variable + "=" + value})
		require.ErrorContains(t, err, lifeline.Variable)
	}
}
