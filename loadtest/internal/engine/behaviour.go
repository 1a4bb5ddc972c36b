package engine

import (
	"errors"
	"fmt"
	"time"

	"github.com/smaran-v2/smaran/loadtest/internal/client"
)

// Behaviour is how callers behave, as flags in every command that has any.
type Behaviour struct {
	// OnMisroute as client.Config has it.
	OnMisroute client.OnMisroute `help:"What a caller does when its call is elsewhere: redial or stay." default:"redial" placeholder:"WORD"`

	// GapThreshold is the gap in arriving RTP above which a call counts as interrupted.
	GapThreshold time.Duration `help:"A longer gap in the agent's RTP counts as a media interruption." default:"200ms"`

	// Watchdog is how long a caller hears nothing before it gives the call up; 0 takes peer.DefaultWatchdog.
	Watchdog time.Duration `help:"A caller that hears nothing for so long redials." default:"${watchdog=100ms}"`

	// RedialJitter is the longest that a caller waits before it redials; each waits a random part of it.
	RedialJitter time.Duration `help:"A caller whose call is lost waits a random time of up to so long before it redials." default:"0s"`
}

// ErrUsage is returned for flags that parse and make no sense.
var ErrUsage = errors.New("usage")

// Check fails with ErrUsage for what the flags would not take.
func (b Behaviour) Check() error {
	switch {
	case b.GapThreshold <= 0:
		return fmt.Errorf("%w: --gap-threshold %v: want more than 0s", ErrUsage, b.GapThreshold)
	case b.RedialJitter < 0:
		return fmt.Errorf("%w: --redial-jitter %v: want 0s or more", ErrUsage, b.RedialJitter)
	case b.Watchdog < 40*time.Millisecond:
		return fmt.Errorf("%w: --watchdog %v: want at least 40ms, two frames", ErrUsage, b.Watchdog)
	}
	return nil
}
