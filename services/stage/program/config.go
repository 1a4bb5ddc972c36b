package program

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
	"time"

	"github.com/smaran-v2/smaran/services/internal/config"
)

// EnvPrefix starts every variable that configures stage serve.
const EnvPrefix = config.PrefixStage

// Config is the environment of stage serve, without EnvPrefix.
type Config struct {
	// Listen serves the page, CrowdListen crowds alone, AdminListen operators.
	Listen      string `env:"LISTEN" envDefault:":8080"`
	CrowdListen string `env:"CROWD_LISTEN" envDefault:":8081"`
	AdminListen string `env:"ADMIN_LISTEN" envDefault:":9090"`

	// Token is asked of every order. Without one the stage carries out none, unless Listen is loopback.
	Token string `env:"TOKEN"`

	// Namespace is where the fleet of the one lane is on the Kubernetes whose pod the stage is (package cluster); Controls lets the stage change
	// it, as far as its service account may. Lanes, Fleets, Relay and Pods then follow from it.
	Namespace string `env:"NAMESPACE"`
	Controls  bool   `env:"CONTROLS" envDefault:"false"`

	// Lanes are fleets elsewhere, as id=URL of their smaran, such as "a=http://smaran-v2:8080", separated by commas.
	Lanes Lanes `env:"LANES"`
	// Fleets are the fleet.v1 control APIs of those that have one, likewise. The others can be looked at, and be called.
	Fleets Lanes `env:"FLEETS"`
	// Instead is what to type instead of an order that those of LANES without FLEETS can't be given; a page shows it.
	Instead string `env:"INSTEAD" envDefault:"the stage was given no control API of this fleet"`
	// Relay: browsers reach pods through the relay only.
	Relay bool `env:"RELAY" envDefault:"false"`

	// Pods are what each lane has after a reset.
	Pods int `env:"PODS" envDefault:"3"`
	// Calls and Rate (inferences a second, all calls together) are what each lane's crowd begins with. 0 calls wait for an order.
	Calls int     `env:"CALLS" envDefault:"0"`
	Rate  float64 `env:"RATE" envDefault:"1"`
	// Seed of what crowds do; 0 is a seed too.
	Seed uint64 `env:"SEED" envDefault:"0"`

	// Record is the file that keeps what is shown; empty: none.
	Record string `env:"RECORD"`

	// ShutdownGrace is how long requests may go on after SIGTERM.
	ShutdownGrace time.Duration `env:"SHUTDOWN_GRACE" envDefault:"5s"`
	LogLevel      string        `env:"LOG_LEVEL" envDefault:"info"`
	LogFormat     string        `env:"LOG_FORMAT" envDefault:"text"`
}

// Validate reports everything that is out of range, by the variables' names without the prefix.
func (c *Config) Validate() error {
	var wrong []error
	if (len(c.Lanes) == 0) == (c.Namespace == "") {
		wrong = append(wrong, errors.New("either LANES, with at least one such as a=http://smaran-v2:8080, or NAMESPACE is expected"))
	}
	if c.Controls && c.Namespace == "" {
		wrong = append(wrong, errors.New("CONTROLS is for the fleet of a NAMESPACE: those of LANES have FLEETS"))
	}
	for _, f := range c.Fleets {
		if c.Lanes.url(f.ID) == "" {
			wrong = append(wrong, fmt.Errorf("FLEETS: LANES has no %s", f.ID))
		}
	}
	if c.Pods < 1 {
		wrong = append(wrong, fmt.Errorf("PODS is %d, expected 1 or more", c.Pods))
	}
	if c.Calls < 0 || c.Rate <= 0 {
		wrong = append(wrong, fmt.Errorf("CALLS is %d and RATE %g, expected 0 or more and above 0", c.Calls, c.Rate))
	}
	if c.ShutdownGrace < 0 {
		wrong = append(wrong, fmt.Errorf("SHUTDOWN_GRACE is %s, expected 0 or more", c.ShutdownGrace))
	}
	return errors.Join(wrong...)
}

// Lanes are URLs by lane, in the order in which they were given.
type Lanes []Lane

// Lane is a URL, scheme and authority, of a lane.
type Lane struct{ ID, URL string }

var laneID = regexp.MustCompile(`^[a-z][a-z0-9]*$`)

// UnmarshalText implements encoding.TextUnmarshaler.
func (l *Lanes) UnmarshalText(text []byte) error {
	*l = nil
	if len(text) == 0 {
		return nil
	}
	for _, one := range strings.Split(string(text), ",") {
		id, url, _ := strings.Cut(one, "=")
		switch {
		case !laneID.MatchString(id) || url == "" || !config.IsBase(url):
			return fmt.Errorf("%q, expected a lane and a URL such as a=http://smaran-v2:8080", one)
		case l.url(id) != "":
			return fmt.Errorf("lane %s is there twice", id)
		}
		*l = append(*l, Lane{ID: id, URL: url})
	}
	return nil
}

func (l Lanes) url(id string) string {
	for _, lane := range l {
		if lane.ID == id {
			return lane.URL
		}
	}
	return ""
}
