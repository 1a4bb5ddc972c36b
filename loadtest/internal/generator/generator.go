package generator

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"

	"github.com/alecthomas/kong"

	"github.com/smaran-v2/smaran/loadtest/internal/crowd"
	"github.com/smaran-v2/smaran/loadtest/internal/probe"
	"github.com/smaran-v2/smaran/services/commandline"
	"github.com/smaran-v2/smaran/services/telemetry"
)

// envPrefix begins the variables that set flags, as with loadtest.
const envPrefix = "LOADTEST"

type commands struct {
	Generate generateCmd `cmd:"" help:"Make one run for the loadtest outside that connects to this pod; its Job runs this."`
	Crowd    crowd.Cmd   `cmd:"" help:"Be the callers of one lane of a stage, which says how many and how fast."`
	Probe    probe.Cmd   `cmd:"" help:"Answer and ask requests in a pod, for the claims that need a cluster."`

	LogLevel slog.Level `help:"Level of the log on stderr: debug, info, warn or error." default:"info"`
}

// Run is the program.
func Run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	c := &commands{}
	parser, err := commandline.New(c, stdout, stderr,
		kong.Name("loadtest"),
		kong.Description("Puts load on a fleet from inside its cluster."),
		kong.DefaultEnvars(envPrefix),
	)
	if err != nil {
		return err
	}
	command, err := parser.Parse(args)
	if err != nil {
		return fmt.Errorf("%w; --help shows what there is", err)
	}
	if command == nil {
		return nil
	}
	command.BindTo(ctx, (*context.Context)(nil))
	command.BindTo(stdout, (*io.Writer)(nil))
	tele, err := telemetry.Setup(ctx, telemetry.Options{
		Service: "loadtest", Level: c.LogLevel.String(), Format: "text", Out: stderr, Environ: os.Environ(),
	})
	if err != nil {
		return err
	}
	defer tele.Shutdown(ctx)
	return command.Run(tele, tele.Log)
}
