package engine

import (
	"cmp"
	"fmt"
	"strings"
	"time"

	fleetv1 "github.com/smaran-v2/smaran/proto/fleet/v1"
	"github.com/smaran-v2/smaran/services/measure"
	"github.com/smaran-v2/smaran/services/wire"
)

// SettingPods names the setting that has the addresses at which the pods started, in the fleet's order, with PodSeparator between
// them. Hash rings are of addresses, so that runs only compare where these are the same.
const (
	SettingPods  = "pods"
	PodSeparator = ", "
)

// settings are the fleet's own words and those of the run that are not in the load.
func (r *run) settings(m measurement) map[string]string {
	out := map[string]string{
		"mesh_policy":      m.status.GetPolicy(),
		"session_mode":     m.status.GetSessionMode(),
		"no_header_answer": m.probe,
		"gap_threshold":    r.spec.GapThreshold.String(),
		"watchdog":         r.spec.Watchdog.String(),
		"redial_jitter":    r.spec.RedialJitter.String(),
		"grace":            r.spec.Fleet().DrainTime().String(),
		"send_times":       "one a period of each call, moved by up to a quarter of the period",
		"late_by":          measure.LateBy.String(),
		"settle_margin":    r.settleMargin(m.status).String(),
		"media_lag_p99":    m.mediaLag.P99.String(),
		"media_lag_max":    m.mediaLag.Max.String(),
		SettingPods:        podAddresses(r.before),
	}
	if r.spec.SecondWay > 0 {
		out["second_way"] = r.spec.SecondWay.String() + " later"
	}
	if r.spec.Fleet().HandsOver() {
		out["session_store"] = cmp.Or(r.spec.SessionStore, "none")
	}
	if size := m.status.GetRingSize(); size > 0 {
		out["ring_size"] = fmt.Sprint(size)
	}
	for _, p := range m.status.GetProcesses() {
		if p.GetKind() != "" {
			out[p.GetName()] = p.GetKind() + " " + p.GetVersion()
		}
	}
	return out
}

// settleMargin is how long after an endpoint change a session may still be served elsewhere: as long as the change takes to reach every
// process, as a fleet says at the end of the run (it may know by then that it was slow), and a call that moves as long as its caller waits
// to be told.
func (r *run) settleMargin(s *fleetv1.StatusResponse) time.Duration {
	margin := s.GetSettleMargin().AsDuration()
	if r.spec.Fleet().HandsOver() {
		margin += wire.MigrateWithin
	}
	return margin
}

// podAddresses are those of the endpoints as they are now.
func podAddresses(s *fleetv1.StatusResponse) string {
	h := s.GetHistory()
	if len(h) == 0 {
		return ""
	}
	var out []string
	for _, e := range h[len(h)-1].GetEndpoints() {
		out = append(out, e.GetAddress())
	}
	return strings.Join(out, PodSeparator)
}
