package conduct

import (
	"context"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/smaran-v2/smaran/loadtest/internal/driver"
	fleetv1 "github.com/smaran-v2/smaran/proto/fleet/v1"
)

// steered is the one fleet there is, as a driver that a generator's engine can use. The conductor brought it up and takes it down.
type steered struct {
	driver.Steering
	clock clock
	// up is called when the engine asks for the fleet.
	up func()
}

// Name implements driver.Driver.
func (steered) Name() string { return "conductor" }

// Up implements driver.Driver.
func (s steered) Up(context.Context, driver.Spec) (driver.Fleet, error) {
	s.up()
	return s, nil
}

// Status is the fleet's, in this machine's time.
func (s steered) Status(ctx context.Context) (*fleetv1.StatusResponse, error) {
	status, err := s.Steering.Status(ctx)
	for _, v := range status.GetHistory() {
		v.Written = timestamppb.New(s.clock.own(v.GetWritten().AsTime()))
	}
	return status, err
}

// Died implements driver.Fleet: it is the conductor that watches over the fleet.
func (steered) Died() <-chan struct{} { return nil }

// Err implements driver.Fleet.
func (steered) Err() error { return nil }

// Down implements driver.Fleet.
func (steered) Down(context.Context) error { return nil }
