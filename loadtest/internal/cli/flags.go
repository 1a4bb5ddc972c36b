package cli

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/jonboulle/clockwork"

	"github.com/smaran-v2/smaran/loadtest/internal/compose"
	"github.com/smaran-v2/smaran/loadtest/internal/driver"
	"github.com/smaran-v2/smaran/loadtest/internal/engine"
	"github.com/smaran-v2/smaran/loadtest/internal/plan"
	"github.com/smaran-v2/smaran/loadtest/internal/scenario"
	"github.com/smaran-v2/smaran/services/smaran/backend"
)

// Where fleets run, as --driver has it.
const (
	localDriver   = "local"
	composeDriver = compose.Name
)

// errUsage is returned for flags that parse and make no sense.
var errUsage = engine.ErrUsage

// loadFlags are the load and the fleet, as in every command that runs something.
type loadFlags struct {
	Calls    int           `help:"Simulated callers, each on a call." default:"24" aliases:"vus"`
	Rate     float64       `help:"Inference requests a second, all callers together." default:"36" aliases:"qps"`
	CallRate float64       `help:"Calls placed a second; 0 places all within half of the warm-up." default:"0"`
	Warmup   time.Duration `help:"Time under load before measuring begins; calls are placed in it." default:"3s"`
	Seed     uint64        `help:"Makes sessions, send times and the fleet's own choices; the same for every backend." default:"1"`

	engine.Behaviour `embed:""`

	Grace        time.Duration `help:"How long a pod that is told to end may take for its calls." default:"5s"`
	SessionStore string        `help:"Where the pods of the backend handoff keep conversations besides, for when one is killed: none or redis." enum:"none,redis" default:"none"`

	Driver string `help:"Where fleets run: on this machine, as a docker compose project, or in a Kubernetes cluster." enum:"local,compose,kubernetes" default:"local"`

	Fleet     string        `help:"Local: the fleet program; default: beside this one." placeholder:"PATH" group:"local"`
	Mesh      string        `help:"Local: data plane, our own (go, the default) or a real Envoy (envoy)." enum:"go,envoy," default:"" placeholder:"NAME" group:"local"`
	Redis     string        `help:"Local: a redis-server (real), one in the fleet (embedded), or the first that is there (auto, the default)." enum:"auto,real,embedded," default:"" placeholder:"NAME" group:"local"`
	Control   string        `help:"Local: where the fleets' control API listens, for bin/fleet ps and for Prometheus, which looks at 127.0.0.1:7070; default: a free port." placeholder:"ADDR" group:"local"`
	SecondWay time.Duration `help:"Local: run a second smaran with a mesh of its own, which learn of the endpoints so much later; each caller's requests go by both in turn." default:"0s" group:"local"`

	ComposeFile string `help:"Compose: the file; default: docker-compose.yaml here or in a folder above." placeholder:"PATH" group:"compose"`
	Project     string `help:"Compose: the project's name, which must not be running; default: the file's." placeholder:"NAME" group:"compose"`

	Context string `help:"Kubernetes: the kubeconfig's context, such as kind-smaran." placeholder:"NAME" group:"kubernetes"`
	Deploy  string `help:"Kubernetes: the folder with the manifests; default: deploy, seen from here." placeholder:"DIR" group:"kubernetes"`
	Image   string `help:"Kubernetes: the generator's image; default: smaran-v2/loadtest:dev." placeholder:"NAME" group:"kubernetes"`

	Metrics string `help:"Shows Prometheus what callers see while runs go on, at this address, such as 127.0.0.1:9464; default: nowhere." placeholder:"ADDR"`

	Labels string `help:"A label for the report; overlaid reports keep theirs." placeholder:"TEXT"`
	Out    string `help:"Folder in which the run's own folder is made." default:"out" placeholder:"DIR"`
}

// Validate fails with errUsage. Kong calls it.
func (f *loadFlags) Validate() error {
	switch {
	case f.Calls < 1:
		return fmt.Errorf("%w: --calls %d: want at least 1", errUsage, f.Calls)
	case !(f.Rate > 0):
		return fmt.Errorf("%w: --rate %v: want more than 0", errUsage, f.Rate)
	case f.CallRate < 0:
		return fmt.Errorf("%w: --call-rate %v: want 0 or more", errUsage, f.CallRate)
	case f.Warmup < 0:
		return fmt.Errorf("%w: --warmup %v: want 0s or more", errUsage, f.Warmup)
	case f.SecondWay < 0:
		return fmt.Errorf("%w: --second-way %v: want 0s or more", errUsage, f.SecondWay)
	case f.SecondWay > 0 && f.Driver != localDriver:
		return fmt.Errorf("%w: --second-way is for --driver %s; with --driver %s leave it out", errUsage, localDriver, f.Driver)
	case f.Grace <= 0:
		return fmt.Errorf("%w: --grace %v: want more than 0s", errUsage, f.Grace)
	default:
		return errors.Join(f.Check(), f.checkDriver())
	}
}

// maxGrace is what the manifests leave a pod's calls between preStop and the end of its grace period.
const maxGrace = 10 * time.Second

// checkDriver fails with errUsage for a flag that --driver has no use for.
func (f *loadFlags) checkDriver() error {
	if f.Driver != localDriver && f.Grace > maxGrace {
		return fmt.Errorf("%w: --grace %v: want %v or less with --driver %s, whose manifests leave no more", errUsage, f.Grace, maxGrace, f.Driver)
	}
	for _, flag := range []struct{ name, value, driver string }{
		{"--fleet", f.Fleet, localDriver}, {"--control", f.Control, localDriver}, {"--mesh", f.Mesh, localDriver}, {"--redis", f.Redis, localDriver},
		{"--compose-file", f.ComposeFile, composeDriver}, {"--project", f.Project, composeDriver},
		{"--context", f.Context, kubernetesDriver}, {"--deploy", f.Deploy, kubernetesDriver}, {"--image", f.Image, kubernetesDriver},
	} {
		if flag.value != "" && flag.driver != f.Driver {
			return fmt.Errorf("%w: %s is for --driver %s; with --driver %s leave it out", errUsage, flag.name, flag.driver, f.Driver)
		}
	}
	if f.Driver == kubernetesDriver && f.Metrics != "" {
		return fmt.Errorf("%w: --metrics is for generators on this machine; the one in the cluster shows them on port 9464 of its pod", errUsage)
	}
	if f.Driver == kubernetesDriver && f.Context == "" {
		return fmt.Errorf("%w: --driver kubernetes needs --context, such as kind-smaran: it changes what runs in the namespace dev there", errUsage)
	}
	return nil
}

// spec is one run of a backend under a scenario.
func (f *loadFlags) spec(backend string, s scenario.Scenario, repeat int) engine.Spec {
	return engine.Spec{
		Backend: backend, Scenario: s, Repeat: repeat,
		Load:      plan.Load{Calls: f.Calls, Rate: f.Rate, CallRate: f.CallRate, Warmup: f.Warmup, Seed: f.Seed},
		Behaviour: f.Behaviour, Mesh: f.Mesh, Redis: f.Redis, Grace: f.Grace, SecondWay: f.SecondWay, SessionStore: f.SessionStore,
	}
}

// pace is that of the place that --driver names.
func (f *loadFlags) pace() scenario.Pace {
	return map[string]scenario.Pace{
		localDriver: scenario.Local(), composeDriver: scenario.Compose(), kubernetesDriver: scenario.Kubernetes(),
	}[f.Driver]
}

// driver is the one that --driver names.
func (f *loadFlags) driver(a *app) (driver.Driver, error) {
	if f.Driver == composeDriver {
		return compose.New(compose.Options{File: f.ComposeFile, Project: f.Project, Clock: clockwork.NewRealClock(), Log: a.log}), nil
	}
	program, err := driver.FindProgram(f.Fleet)
	if err != nil {
		return nil, err
	}
	return &driver.Local{Program: program, Dir: filepath.Join(f.Out, "fleet"), Control: f.Control}, nil
}

// hashPolicies are what a backend may be followed by, after a colon.
var hashPolicies = map[string][]string{string(backend.IstioHash): {"ring", "maglev"}, string(backend.Handoff): {"ring", "maglev"}}

// checkBackends fails with errUsage where a name or policy is unknown.
func checkBackends(names []string) error {
	for _, n := range names {
		base, policy := driver.SplitBackend(n)
		if !slices.Contains(allBackends(), base) {
			return fmt.Errorf("%w: --backend %s: want one of %s", errUsage, n, strings.Join(allBackends(), ", "))
		}
		if strings.Contains(n, ":") && !slices.Contains(hashPolicies[base], policy) {
			return fmt.Errorf("%w: --backend %s: only istio-hash and handoff have policies, such as istio-hash:maglev", errUsage, n)
		}
	}
	return nil
}

// allBackends in the order in which they are compared.
func allBackends() []string {
	var out []string
	for _, n := range backend.Names() {
		out = append(out, string(n))
	}
	return out
}
