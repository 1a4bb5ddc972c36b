package fleet

import (
	"context"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/alecthomas/kong"

	"github.com/smaran-v2/smaran/services/commandline"
	"github.com/smaran-v2/smaran/services/fleet/internal/proc"
	"github.com/smaran-v2/smaran/services/mesh"
	"github.com/smaran-v2/smaran/services/smaran/backend"
)

const (
	// DefaultControl is where the control API listens unless told otherwise.
	DefaultControl = "127.0.0.1:7070"
	// ControlVariable names another address, for every verb.
	ControlVariable = "FLEET_CONTROL"
)

// cli is the command line.
type cli struct {
	Up      upCmd      `cmd:"" help:"Run a fleet, in the foreground until Ctrl-C or down."`
	Ps      psCmd      `cmd:"" help:"Show pods, processes and endpoints."`
	Scale   scaleCmd   `cmd:"" help:"Set the number of pods; the newest go first."`
	Kill    killCmd    `cmd:"" help:"SIGKILL a pod; it starts anew under the same name and address."`
	Stop    stopCmd    `cmd:"" help:"Drain a pod and end it by SIGTERM; a new one takes its place."`
	Freeze  freezeCmd  `cmd:"" help:"SIGSTOP a pod."`
	Thaw    thawCmd    `cmd:"" help:"SIGCONT a pod, or all that are frozen."`
	Rollout rolloutCmd `cmd:"" help:"Replace every pod, one new one ahead."`
	Redis   redisCmd   `cmd:"" help:"Kill Redis, or start it empty."`
	Smaran  smaranCmd  `cmd:"" help:"Kill the coordinator; it starts anew at the same address."`
	Down    downCmd    `cmd:"" help:"End the fleet."`
	Guard   guardCmd   `cmd:"" name:"${guard}" hidden:""`
}

// invocation is what a command runs with.
type invocation struct {
	args, environ  []string
	stdout, stderr io.Writer
}

// Run is the program fleet.
func Run(ctx context.Context, args, environ []string, stdout, stderr io.Writer) error {
	address := environment(environ).get(ControlVariable)
	if address == "" {
		address = DefaultControl
	}
	parser, err := commandline.New(&cli{}, stdout, stderr,
		kong.Name("fleet"),
		kong.Description("Runs smaran, the mesh, Redis and jarvis pods on this machine, a process each."),
		kong.Vars{
			"control": address, "guard": proc.GuardVerb, "backends": list(backend.Names()), "policies": list(mesh.Policies()),
			"calls": strconv.Itoa(defaultCalls), "rate": strconv.Itoa(defaultRate),
		},
		kong.ConfigureHelp(kong.HelpOptions{Compact: true}),
	)
	if err != nil {
		return err
	}
	command, err := parser.Parse(args)
	if err != nil {
		return fmt.Errorf("%w; fleet --help shows what there is", err)
	}
	if command == nil {
		return nil
	}
	command.BindTo(ctx, (*context.Context)(nil))
	return command.Run(&invocation{args: args, environ: environ, stdout: stdout, stderr: stderr})
}

func list[T ~string](names []T) string {
	out := make([]string, len(names))
	for i, n := range names {
		out[i] = string(n)
	}
	return strings.Join(out, ", ")
}

type guardCmd struct {
	Command []string `arg:"" passthrough:"all"`
}

func (c *guardCmd) Run(ctx context.Context, s *invocation) error {
	argv := c.Command
	if len(argv) > 0 && argv[0] == "--" {
		argv = argv[1:]
	}
	return proc.Guard(ctx, argv, s.environ, s.stdout, s.stderr)
}
