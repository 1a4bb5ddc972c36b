package compose_test

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"
)

// worldVariable makes this test's binary the docker command of the world in that directory: a file for each container that is there,
// which says whether it runs, and one that collects what the engine tells of them.
const worldVariable = "COMPOSE_TEST_WORLD"

// Files of a world besides the containers.
const (
	callsFile  = "calls"  // one command a line
	eventsFile = "events" // what docker events shows
	configFile = "config" // what docker compose config shows
	refuseFile = "refuse" // a command that fails, by its first words
	hangFile   = "hang"   // one that waits for its end
	blockFile  = "block"  // one that waits for the end of this file
	alienFile  = "alien"  // what docker ps shows besides

	networksFile = "networks" // what docker network inspect shows
	// environFile and the first words of a command hold the environment that it had last.
	environFile = "environ-"
)

const (
	containerPrefix = "container-"
	runs, ended     = "runs", "ended"
)

// fakeDocker does what the driver needs of docker.
func fakeDocker(dir string, args []string, stdout, stderr io.Writer) int {
	d := &daemon{dir: dir, stdout: stdout, stderr: stderr}
	command := words(args)
	d.append(callsFile, strings.Join(command, " ")+"\n")
	d.write(environFile+strings.Join(command[:min(2, len(command))], " "), strings.Join(os.Environ(), "\n"))
	if blocked := d.read(blockFile); blocked != "" && strings.HasPrefix(strings.Join(command, " "), blocked) {
		d.block()
	}
	if refused := d.read(refuseFile); refused != "" && strings.HasPrefix(strings.Join(command, " "), refused) {
		fmt.Fprintf(stderr, "the engine refuses %s\n", refused)
		return 1
	}
	if hangs := d.read(hangFile); hangs != "" && strings.HasPrefix(strings.Join(command, " "), hangs) {
		return d.hang()
	}
	switch command[0] {
	case "version", "volume":
	case "network":
		if command[1] == "inspect" {
			fmt.Fprint(stdout, d.read(networksFile))
		} else if d.read(networksFile) != "" && slices.Contains(command, "--quiet") {
			fmt.Fprintln(stdout, "0123")
		}
	case "image":
		fmt.Fprintln(stdout, "v1.2.3")
	case "ps":
		fmt.Fprint(stdout, d.read(alienFile))
		for _, name := range d.containers() {
			fmt.Fprintln(stdout, "container "+name)
		}
	case "events":
		return d.events()
	case "compose":
		return d.compose(command[1:])
	}
	return 0
}

// words are the arguments without what every compose command begins with.
func words(args []string) []string {
	if len(args) < 3 || args[0] != "compose" || args[1] != "--progress" {
		return args
	}
	out := []string{"compose"}
	for i := 3; i < len(args); i++ {
		if slices.Contains([]string{"--project-name", "--project-directory", "--file", "--profile"}, args[i]) {
			i++
			continue
		}
		out = append(out, args[i])
	}
	return out
}

type daemon struct {
	dir            string
	stdout, stderr io.Writer
}

func (d *daemon) compose(args []string) int {
	services := slices.DeleteFunc(slices.Clone(args[1:]), func(a string) bool { return strings.HasPrefix(a, "-") || a == "KILL" || a == "STOP" || a == "CONT" })
	switch args[0] {
	case "version":
		fmt.Fprintln(d.stdout, "2.40.3")
	case "config":
		fmt.Fprint(d.stdout, os.Expand(d.read(configFile), variable))
	case "exec":
		fmt.Fprintln(d.stdout, "Redis server v=7.4.1 sha=00000000:0")
	case "up":
		for _, s := range services {
			d.start(s)
		}
	case "stop":
		for _, s := range services {
			d.end(s)
		}
	case "kill":
		if slices.Contains(args, "KILL") {
			d.end(services[0])
		}
	case "rm":
		for _, s := range services {
			d.end(s)
			d.remove(s)
		}
	case "down":
		for _, s := range d.containers() {
			d.end(s)
			d.remove(s)
		}
	default:
		fmt.Fprintf(d.stderr, "unknown command %q\n", args[0])
		return 1
	}
	return 0
}

// variable is what compose puts for ${NAME:-default}.
func variable(text string) string {
	name, usual, _ := strings.Cut(text, ":-")
	if value := os.Getenv(name); value != "" {
		return value
	}
	return usual
}

func (d *daemon) start(service string) {
	if d.read(containerPrefix+service) != runs {
		d.write(containerPrefix+service, runs)
		d.tell("start", service)
	}
}

func (d *daemon) end(service string) {
	if d.read(containerPrefix+service) == runs {
		d.write(containerPrefix+service, ended)
		d.tell("die", service)
	}
}

func (d *daemon) remove(service string) { _ = os.Remove(filepath.Join(d.dir, containerPrefix+service)) }

func (d *daemon) containers() []string {
	found, _ := filepath.Glob(filepath.Join(d.dir, containerPrefix+"*"))
	for i, path := range found {
		found[i] = strings.TrimPrefix(filepath.Base(path), containerPrefix)
	}
	return found
}

// tell writes what docker events shows.
func (d *daemon) tell(action, service string) {
	line, _ := json.Marshal(map[string]any{"Action": action, "Actor": map[string]any{
		"ID": "id-of-" + service, "Attributes": map[string]string{"com.docker.compose.service": service, "exitCode": "137"},
	}})
	d.append(eventsFile, string(line)+"\n")
}

// events shows what is told until it is asked to end.
func (d *daemon) events() int {
	end := make(chan os.Signal, 1)
	signal.Notify(end, syscall.SIGTERM)
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for shown := 0; ; {
		told := d.read(eventsFile)
		if i := strings.LastIndexByte(told, '\n') + 1; i > shown {
			fmt.Fprint(d.stdout, told[shown:i])
			shown = i
		}
		select {
		case <-tick.C:
		case <-end:
			return 143
		}
	}
}

// hang begins what it was asked for, and waits for its end.
func (d *daemon) hang() int {
	end := make(chan os.Signal, 1)
	signal.Notify(end, syscall.SIGTERM)
	d.start("jarvis-1")
	d.append(callsFile, "hangs\n")
	<-end
	d.append(callsFile, "ended by SIGTERM\n")
	return 143
}

// block waits until nothing is blocked.
func (d *daemon) block() {
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for d.read(blockFile) != "" {
		<-tick.C
	}
}

func (d *daemon) read(name string) string {
	raw, _ := os.ReadFile(filepath.Join(d.dir, name))
	return string(raw)
}

func (d *daemon) write(name, text string) {
	half := filepath.Join(d.dir, "."+name)
	if os.WriteFile(half, []byte(text), 0o600) != nil || os.Rename(half, filepath.Join(d.dir, name)) != nil {
		os.Exit(1)
	}
}

func (d *daemon) append(name, text string) {
	f, err := os.OpenFile(filepath.Join(d.dir, name), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		os.Exit(1)
	}
	if _, err := f.WriteString(text); err != nil {
		os.Exit(1)
	}
	_ = f.Close()
}
