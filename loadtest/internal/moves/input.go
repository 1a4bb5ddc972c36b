package moves

import (
	"time"

	"github.com/smaran-v2/smaran/loadtest/internal/tally"
	"github.com/smaran-v2/smaran/services/affinity"
	"github.com/smaran-v2/smaran/services/endpoints"
)

// Version is one state of the endpoints, in force from At until the next. Times count from the start of the run.
type Version struct {
	At     time.Duration
	Number uint64
	Set    endpoints.Set
}

// Step is one event as it was done.
type Step struct {
	Start time.Duration
	// Finish is when the fleet said that it was complete.
	Finish time.Duration
}

// Window is a settled time. It is empty where To does not exceed From.
type Window struct{ From, To time.Duration }

// Empty says that the fleet never settled.
func (w Window) Empty() bool { return w.To <= w.From }

// holds says that a request was both sent and answered in the window.
func (w Window) holds(i tally.Inference) bool { return i.Sent >= w.From && i.Done <= w.To }

// Predictor builds an algorithm's picks from the hosts in rotation: session to address. Nil where a backend's choice can't
// be computed from the endpoints.
type Predictor func([]affinity.Host) (func(session string) string, error)

// Predict is the Predictor of an affinity policy.
func Predict(policy affinity.Policy, o affinity.Options) Predictor {
	return func(hosts []affinity.Host) (func(string) string, error) {
		picker, err := affinity.New(policy, hosts, o)
		if err != nil {
			return nil, err
		}
		return func(session string) string {
			i := picker.Pick(affinity.HashValue(session), 0)
			if i < 0 {
				return ""
			}
			return hosts[i].Address
		}, nil
	}
}

// Input is a run to account for.
type Input struct {
	// Sessions by call.
	Sessions []string
	// History of the endpoints, oldest first.
	History []Version
	// Steps by start.
	Steps []Step
	// Inferences in any order.
	Inferences []tally.Inference
	// From is the start of measuring and To its end.
	From, To time.Duration
	// Margin is the time an endpoint change has to reach every process.
	Margin  time.Duration
	Predict Predictor
}
