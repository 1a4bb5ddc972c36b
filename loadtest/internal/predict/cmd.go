// Package predict is the command `loadtest predict`: which sessions move when the hosts change, computed and not
// measured. It runs nothing and asks nobody; the algorithms are those of services/affinity, which equal Envoy's for the ring
// and Maglev.
package predict

import (
	"encoding/json"
	"fmt"
	"io"

	"github.com/smaran-v2/smaran/services/affinity"
)

// Cmd is the command and its flags.
type Cmd struct {
	Policy   affinity.Policy `help:"How sessions choose hosts: ring, maglev, rendezvous or modulo." default:"ring" placeholder:"NAME"`
	Hosts    string          `help:"Hosts before the change, one ip:port a line, in the order of the endpoints." required:"" placeholder:"FILE"`
	To       string          `help:"Hosts after the change. Without it nothing changes, and the picks are those of --hosts." placeholder:"FILE"`
	Sessions string          `help:"Sessions, one id a line." required:"" placeholder:"FILE"`
	RingSize uint64          `help:"Envoy's minimum_ring_size; counts for --policy ring only. 0 means 1024." placeholder:"N"`
	JSON     bool            `help:"Print {\"total\",\"moved\",\"picks\":[{\"session\",\"from\",\"to\"}]} instead of a table." name:"json"`
}

// Help is shown by `loadtest predict --help`.
func (*Cmd) Help() string {
	return "In every FILE blank lines and what follows a # are ignored. The session is the only thing hashed, as where " +
		"one header or cookie is the route's only hash policy."
}

// Run writes the prediction to out. What is wrong in a file is an *InputError.
func (c *Cmd) Run(out io.Writer) error {
	from, err := readHosts(c.Hosts)
	if err != nil {
		return err
	}
	to := from
	if c.To != "" {
		if to, err = readHosts(c.To); err != nil {
			return err
		}
	}
	sessions, err := readSessions(c.Sessions)
	if err != nil {
		return err
	}
	p, err := affinity.Predict(c.Policy, affinity.Options{MinRingSize: c.RingSize}, from, to, sessions)
	if err != nil {
		return fmt.Errorf("predict: %w", err)
	}
	if c.JSON {
		return json.NewEncoder(out).Encode(p)
	}
	_, err = io.WriteString(out, render(c.Policy, from, to, p))
	return err
}
