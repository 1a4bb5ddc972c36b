package director

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"testing"
	"time"

	"connectrpc.com/connect"
	"github.com/jonboulle/clockwork"
	"google.golang.org/protobuf/types/known/durationpb"

	fleetv1 "github.com/smaran-v2/smaran/proto/fleet/v1"
	"github.com/smaran-v2/smaran/proto/fleet/v1/fleetv1connect"
	jarvisv1 "github.com/smaran-v2/smaran/proto/jarvis/v1"
	smaranv1 "github.com/smaran-v2/smaran/proto/smaran/v1"
	stagev1 "github.com/smaran-v2/smaran/proto/stage/v1"
	"github.com/smaran-v2/smaran/services/stage/scene"
	"github.com/smaran-v2/smaran/services/stage/venue"
)

// still is a venue of one lane whose fleet never changes.
type still struct {
	fleetv1connect.UnimplementedFleetServiceHandler
	status *fleetv1.StatusResponse
}

func (s still) Lanes() []venue.Lane                        { return []venue.Lane{{ID: "a", Fleet: s}} }
func (still) Recast(context.Context, string, string) error { return venue.ErrNotHere }
func (s still) Status(context.Context, *connect.Request[fleetv1.StatusRequest]) (*connect.Response[fleetv1.StatusResponse], error) {
	return connect.NewResponse(s.status), nil
}

// stocked is a fleet of so many pods and sessions, with a call each, and what its smaran says.
func stocked(pods, sessions int) (*fleetv1.StatusResponse, *smaranv1.GetFleetResponse) {
	status := &fleetv1.StatusResponse{Backend: "istio-hash", Policy: "ring", RingSize: 1024, History: []*fleetv1.Endpoints{{}}}
	told := &smaranv1.GetFleetResponse{}
	for i := range pods {
		name, address := fmt.Sprint("jarvis-", i), fmt.Sprintf("10.0.0.%d:8080", i)
		status.Pods = append(status.Pods, &fleetv1.Pod{Name: name, Address: address, Phase: fleetv1.PodPhase_POD_PHASE_READY})
		status.History[0].Endpoints = append(status.History[0].Endpoints, &fleetv1.Endpoint{Pod: name, Address: address, Health: "HEALTHY"})
		own := &jarvisv1.StatusResponse{Pod: name, Address: address}
		for n := i; n < sessions; n += pods {
			own.SessionList = append(own.SessionList, &jarvisv1.SessionStatus{Session: fmt.Sprint("caller-", n), Turn: 1, CallHeld: true})
		}
		told.Pods = append(told.Pods, own)
	}
	return status, told
}

// BenchmarkPollAndFrame is one poll of a fleet of 50 pods and 1,000 sessions, a tenth of a second of its crowd (one session in ten has an
// answer, and so another turn), and the frame that a reader gets of it. It is compared with rebuilding everything: the same, with each session
// and event put anew. The two take turns within the run; "x/rebuild" is the median ratio of the turns, ns/rebuild the other's time, and
// ns/op that of what a stage does.
func BenchmarkPollAndFrame(b *testing.B) {
	const pods, sessions = 50, 1000
	status, told := stocked(pods, sessions)
	clock := clockwork.NewRealClock()
	d, err := New(Options{
		Venue: still{status: status}, Scene: scene.New(clock), Clock: clock, Log: slog.New(slog.DiscardHandler), HTTP: http.DefaultClient,
		Calls: sessions, Rate: sessions,
	})
	if err != nil {
		b.Fatal(err)
	}
	l := d.lanes[0]
	l.crowdCame(true, d.now())
	begin := &stagev1.Observations{Take: l.load.take}
	for n := range sessions {
		begin.Calls = append(begin.Calls, &stagev1.CallChange{Session: fmt.Sprint("caller-", n), Up: true})
	}
	l.observed(begin, d.now())
	version := uint64(0)
	round := func(turn int, before func()) {
		now := d.now()
		seen := &stagev1.Observations{Take: l.load.take}
		for n := turn % 10; n < sessions; n += 10 {
			told.Pods[n%pods].SessionList[n/pods].Turn++
			seen.Inferences = append(seen.Inferences, &stagev1.CrowdInference{
				Session: fmt.Sprint("caller-", n), State: stateWarm, Latency: durationpb.New(100 * time.Millisecond),
				Pod: told.GetPods()[n%pods].GetPod(), Address: told.GetPods()[n%pods].GetAddress(),
			})
		}
		l.byFleet(status, nil, now)
		l.bySmaran(told, nil, now, now)
		l.observed(seen, now)
		before()
		d.paint()
		_, version = d.options.Scene.Frame(version)
	}
	round(0, func() {})
	var changed, all time.Duration
	var ratios []float64
	for turn := 0; b.Loop(); turn++ {
		start := time.Now()
		round(turn, func() {})
		middle := time.Now()
		round(turn, l.unseen)
		end := time.Now()
		changed += middle.Sub(start)
		all += end.Sub(middle)
		ratios = append(ratios, float64(middle.Sub(start))/float64(end.Sub(middle)))
	}
	slices.Sort(ratios)
	b.ReportMetric(float64(changed)/float64(len(ratios)), "ns/op")
	b.ReportMetric(float64(all)/float64(len(ratios)), "ns/rebuild")
	b.ReportMetric(ratios[len(ratios)/2], "x/rebuild")
}
