package compose

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os/exec"
	"slices"
	"strings"
	"time"

	"github.com/smaran-v2/smaran/loadtest/internal/child"
)

// endGrace is how long a docker command may take to end once it is not wanted any more. It is killed then.
const endGrace = 10 * time.Second

// docker runs the docker command for one project.
type docker struct {
	program string
	files   []string
	project string
	// environ is that of the commands, the file's variables included.
	environ []string
	// services are the fleet's, observers those that watch it: they stand from one fleet to the next, and are not the driver's to end.
	services, observers []string
	log                 *slog.Logger
}

// check says why docker, compose or the engine can't be used. It fails with ErrNoDocker.
func (d *docker) check(ctx context.Context) error {
	if _, err := exec.LookPath(d.program); err != nil {
		return fmt.Errorf("%w: %w: install Docker Engine or Docker Desktop, then try: docker compose version", ErrNoDocker, err)
	}
	if _, err := d.run(ctx, "compose", "version", "--short"); err != nil {
		return fmt.Errorf("%w: its compose plugin is missing: install docker-compose-plugin, then try: docker compose version: %w", ErrNoDocker, err)
	}
	if _, err := d.run(ctx, "version", "--format", "{{.Server.Version}}"); err != nil {
		return fmt.Errorf("%w: no engine answers: start it, then try: docker info: %w", ErrNoDocker, err)
	}
	return nil
}

// compose runs a compose command for the project.
func (d *docker) compose(ctx context.Context, args ...string) ([]byte, error) {
	return d.run(ctx, d.composeArgs(args...)...)
}

func (d *docker) composeArgs(args ...string) []string {
	out := []string{"compose", "--progress", "quiet"}
	if d.project != "" {
		out = append(out, "--project-name", d.project)
	}
	for _, f := range d.files {
		out = append(out, "--file", f)
	}
	return append(out, args...)
}

// run returns what the command wrote to stdout. It fails with ErrCommand, which holds the last words of the command. When ctx ends, the
// command and what it started are asked to end as well.
func (d *docker) run(ctx context.Context, args ...string) ([]byte, error) {
	var stdout bytes.Buffer
	words, err := d.stream(ctx, &stdout, args...)
	if err != nil {
		return nil, fmt.Errorf("%w: %s: %w: %s", ErrCommand, d.shown(args), err, words)
	}
	return stdout.Bytes(), nil
}

// stream is run for a command that goes on for long: its output is written as it comes.
func (d *docker) stream(ctx context.Context, stdout io.Writer, args ...string) (lastWords string, err error) {
	d.log.DebugContext(ctx, "docker", "args", args)
	var words child.Tail
	cmd := exec.CommandContext(ctx, d.program, args...)
	cmd.Env, cmd.Stdout, cmd.Stderr = d.environ, stdout, &words
	cmd.WaitDelay = endGrace
	cmd.Cancel = func() error { return child.End(cmd) }
	child.OwnGroup(cmd)
	err = cmd.Run()
	if ctx.Err() != nil {
		err = errors.Join(context.Cause(ctx), err)
	}
	return words.Last(), err
}

// shown is the command as one would type it.
func (d *docker) shown(args []string) string {
	if len(args) > 3 && args[0] == "compose" && args[1] == "--progress" {
		args = append([]string{"compose"}, args[3:]...)
	}
	return "docker " + strings.Join(args, " ")
}

// hint is the beginning of a compose command about the project, to be typed by a person.
func (d *docker) hint() string { return "docker compose -p " + d.project }

// downHint is how a person ends the project.
func (d *docker) downHint() string { return d.hint() + " --profile '*' down --volumes" }

// The labels that compose gives to what it makes.
const (
	projectLabel = "com.docker.compose.project"
	serviceLabel = "com.docker.compose.service"
)

// left lists what there is of the project: containers, networks and volumes, whatever made them. Those that observe are not in it, and
// neither is the network that they hold; watched says whether there are any.
func (d *docker) left(ctx context.Context) (left []string, watched bool, err error) {
	filter := "label=" + projectLabel + "=" + d.project
	for _, list := range [][]string{
		{"ps", "--all", "--format", `container {{.Names}} {{.Label "` + serviceLabel + `"}}`, "--filter", filter},
		{"network", "ls", "--format", "network {{.Name}}", "--filter", filter},
		{"volume", "ls", "--format", "volume {{.Name}}", "--filter", filter},
	} {
		raw, err := d.run(ctx, list...)
		if err != nil {
			return nil, false, err
		}
		for line := range strings.Lines(string(raw)) {
			words := append(strings.Fields(line), "", "", "")
			switch {
			case slices.Contains(d.observers, words[2]):
				watched = true
			case words[0] == "network" && watched:
			default:
				left = append(left, words[0]+" "+words[1])
			}
		}
	}
	return left, watched, nil
}
