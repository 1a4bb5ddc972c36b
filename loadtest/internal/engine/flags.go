package engine

import (
	"errors"
	"fmt"
	"time"

	"github.com/smaran-v2/smaran/loadtest/internal/client"
)

// CallerFlags say how callers behave, in every command that has any.
type CallerFlags struct {
	OnMisroute client.OnMisroute `help:"What a caller does when its call is elsewhere: redial or stay." default:"redial" placeholder:"WORD"`

	GapThreshold time.Duration `help:"A longer gap in the agent's RTP counts as a media interruption." default:"200ms"`

	Watchdog time.Duration `help:"A caller that hears nothing for so long redials." default:"${watchdog=100ms}"`

	RedialJitter time.Duration `help:"A caller whose call is lost waits a random time of up to so long before it redials." default:"0s"`
}

// ErrUsage is returned for flags that parse and make no sense.
var ErrUsage = errors.New("usage")

// Check fails with ErrUsage.
func (f CallerFlags) Check() error {
	switch {
	case f.GapThreshold <= 0:
		return fmt.Errorf("%w: --gap-threshold %v: want more than 0s", ErrUsage, f.GapThreshold)
	case f.RedialJitter < 0:
		return fmt.Errorf("%w: --redial-jitter %v: want 0s or more", ErrUsage, f.RedialJitter)
	case f.Watchdog < 40*time.Millisecond:
		return fmt.Errorf("%w: --watchdog %v: want at least 40ms, two frames", ErrUsage, f.Watchdog)
	}
	return nil
}
