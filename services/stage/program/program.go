// Package program is bin/stage: a stage on its own, for fleets that somebody else runs, or for none. The stage of the fleets of one machine
// is part of bin/fleet.
package program

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/alecthomas/kong"

	"github.com/smaran-v2/smaran/services/commandline"
	"github.com/smaran-v2/smaran/services/internal/config"
	"github.com/smaran-v2/smaran/services/internal/healthcheck"
)

// ErrUsage is a command line that can't be carried out.
var ErrUsage = errors.New("invalid command line")

type cli struct {
	Serve  serveCmd  `cmd:"" help:"Serve the page for fleets that run already. STAGE_* variables configure it."`
	Replay replayCmd `cmd:"" help:"Play what fleet up --stage --record wrote, on the same page."`
	Health healthCmd `cmd:"" help:"Ask the serve of this host whether it is ready."`
}

// invocation is what a command runs with.
type invocation struct {
	environ        []string
	stdout, stderr io.Writer
}

// Run is the program stage. It ends when ctx does.
func Run(ctx context.Context, args, environ []string, stdout, stderr io.Writer) error {
	parser, err := commandline.New(&cli{}, stdout, stderr,
		kong.Name("stage"),
		kong.Description("The page that shows session affinity: for fleets elsewhere, and for recordings."),
		kong.Vars{"listen": DefaultListen},
		kong.ConfigureHelp(kong.HelpOptions{Compact: true}),
	)
	if err != nil {
		return err
	}
	command, err := parser.Parse(args)
	if err != nil {
		return fmt.Errorf("%w: %w; stage --help shows what there is", ErrUsage, err)
	}
	if command == nil {
		return nil
	}
	command.BindTo(ctx, (*context.Context)(nil))
	return command.Run(&invocation{environ: environ, stdout: stdout, stderr: stderr})
}

type healthCmd struct{}

func (*healthCmd) Run(ctx context.Context, i *invocation) error {
	cfg, err := config.Parse[Config](EnvPrefix, i.environ)
	if err != nil {
		return err
	}
	return healthcheck.Ready(ctx, cfg.AdminListen)
}
