package fleet

import (
	"fmt"
	"net"

	"github.com/smaran-v2/smaran/services/internal/httpserver"
	"github.com/smaran-v2/smaran/services/smaran/backend"
)

// Defaults of a crowd: what a laptop shows without being late.
const (
	defaultCalls = 12
	defaultRate  = 12
)

// stageFlags are the flags of `fleet up` that are about the stage.
type stageFlags struct {
	Stage      string       `help:"Serve the page that shows all this, at this address, such as :7080, which is on loopback unless there is a token; port 0 takes a free one." placeholder:"ADDR"`
	Open       bool         `help:"Open the page in a browser (BROWSER names another than the system's)."`
	Beside     backend.Name `help:"A second lane with this backend: processes of its own, the same seed, calls and events." placeholder:"BACKEND"`
	StageCalls int          `help:"Calls of each lane's crowd; 0 waits for the page to ask for some." default:"${calls}"`
	StageRate  float64      `help:"Inferences a second of each lane's crowd, all its calls together." default:"${rate}"`
	Record     string       `help:"Write what the page shows to a file, for stage replay." placeholder:"FILE"`
	StageToken string       `help:"What the page has to show before it may change anything; required where --stage is not loopback. Whoever reaches the page may look and call without it." placeholder:"TOKEN"`
}

// validate fails with ErrConfig. It puts loopback before a port that stands alone.
func (s *stageFlags) validate() error {
	if s.Stage == "" {
		for _, f := range []struct {
			name string
			set  bool
		}{
			{"open", s.Open}, {"beside", s.Beside != ""}, {"stage-calls", s.StageCalls != defaultCalls},
			{"stage-rate", s.StageRate != defaultRate}, {"record", s.Record != ""}, {"stage-token", s.StageToken != ""},
		} {
			if f.set {
				return fmt.Errorf("%w: --%s without --stage: expected an address such as --stage 127.0.0.1:7080", ErrConfig, f.name)
			}
		}
		return nil
	}
	host, port, err := net.SplitHostPort(s.Stage)
	if err != nil {
		return fmt.Errorf("%w: --stage %q: expected ip:port: %w", ErrConfig, s.Stage, err)
	}
	if host == "" && s.StageToken == "" { // who names no address wants none of this on the network
		host = loopback
		s.Stage = net.JoinHostPort(host, port)
	}
	if !httpserver.IsLoopback(host) && s.StageToken == "" {
		return fmt.Errorf("%w: --stage %s: whoever reaches it could kill processes here: expected loopback, or a --stage-token", ErrConfig, s.Stage)
	}
	if s.StageCalls < 0 || s.StageRate <= 0 {
		return fmt.Errorf("%w: --stage-calls %d --stage-rate %g: expected 0 or more calls, and a rate above 0", ErrConfig, s.StageCalls, s.StageRate)
	}
	return nil
}
