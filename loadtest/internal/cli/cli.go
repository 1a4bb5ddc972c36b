package cli

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"

	"github.com/alecthomas/kong"

	"github.com/smaran-v2/smaran/loadtest/internal/cost"
	"github.com/smaran-v2/smaran/loadtest/internal/crowd"
	"github.com/smaran-v2/smaran/loadtest/internal/experiments"
	"github.com/smaran-v2/smaran/loadtest/internal/predict"
	"github.com/smaran-v2/smaran/loadtest/internal/probe"
	"github.com/smaran-v2/smaran/loadtest/internal/report"
	"github.com/smaran-v2/smaran/services/commandline"
	"github.com/smaran-v2/smaran/services/telemetry"
)

type commands struct {
	Run     runCmd          `cmd:"" help:"Put one or more backends under load, with events, and judge thresholds."`
	Compare compareCmd      `cmd:"" help:"Run every backend through every scenario, repeatedly and interleaved."`
	Demo    demoCmd         `cmd:"" help:"Run every backend through one short script: a kill and a scale-out."`
	Predict predict.Cmd     `cmd:"" help:"Say which sessions move between two sets of hosts."`
	Claims  experiments.Cmd `cmd:"" help:"Put to the test what the scenarios don't."`
	Cost    cost.Cmd        `cmd:"" help:"Calculate what each backend costs a month, from assumptions that are flags."`
	Report  report.Cmd      `cmd:"" help:"Show report.json files again, several laid over one another."`
	Crowd   crowd.Cmd       `cmd:"" help:"Be the callers of one lane of a stage, which says how many and how fast."`
	Probe   probe.Cmd       `cmd:"" hidden:"" help:"Answer and ask requests in a pod, for the claims that need a cluster."`

	LogLevel slog.Level `help:"Level of the log on stderr: debug, info, warn or error." default:"error"`
}

// app is what the commands run with.
type app struct {
	args           []string
	stdout, stderr io.Writer
	telemetry      *telemetry.Telemetry
	log            *slog.Logger
}

// Run is the program loadtest.
func Run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	c := &commands{}
	parser, err := commandline.New(c, stdout, stderr,
		kong.Name("loadtest"),
		kong.Description("Drives real calls and inference through a fleet, does things to it meanwhile, and reports what that cost."),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true}),
		kong.DefaultEnvars(envPrefix),
	)
	if err != nil {
		return err
	}
	if err := checkEnvironment(parser.Model, os.Environ()); err != nil {
		return err
	}
	command, err := parser.Parse(args)
	if err != nil {
		return fmt.Errorf("%w; loadtest --help shows what there is", err)
	}
	if command == nil {
		return nil
	}
	tele, err := telemetry.Setup(ctx, telemetry.Options{
		Service: "loadtest", Level: c.LogLevel.String(), Format: "text", Out: stderr, Environ: os.Environ(),
	})
	if err != nil {
		return err
	}
	defer tele.Shutdown(ctx)
	a := &app{args: args, stdout: stdout, stderr: stderr, telemetry: tele, log: tele.Log}
	command.BindTo(ctx, (*context.Context)(nil))
	command.BindTo(stdout, (*io.Writer)(nil))
	return command.Run(a, tele, tele.Log)
}

// exitError ends the program with a code of its own.
type exitError struct {
	error
	code int
}

func (e exitError) Unwrap() error { return e.error }

// ExitCode is the program's.
func (e exitError) ExitCode() int { return e.code }

// interruptedCode is what shells give a program that SIGINT ended: 128 + 2.
const interruptedCode = 130
