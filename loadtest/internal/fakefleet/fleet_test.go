package fakefleet_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/smaran-v2/smaran/loadtest/internal/driver/drivertest"
	"github.com/smaran-v2/smaran/loadtest/internal/fakefleet"
	"github.com/smaran-v2/smaran/loadtest/internal/scenario"
)

func TestTheFakeFleetKeepsWhatADriverHasToKeep(t *testing.T) {
	for _, part := range drivertest.Parts() {
		t.Run(part.Name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				part.Run(t, drivertest.Case{
					Driver: &fakefleet.Driver{Fleets: []*fakefleet.Fleet{fakefleet.New(3, fakefleet.Ring)}}, Within: time.Minute,
					Cannot: []scenario.Kind{scenario.KindStop, scenario.KindRollout, scenario.KindFreeze, scenario.KindThaw, scenario.KindRedis},
				})
			})
		})
	}
}
