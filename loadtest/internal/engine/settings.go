package engine

import (
	"fmt"
)

// settings are the fleet's own words and those of the run that are not in the load.
func (r *run) settings(m measurement) map[string]string {
	out := map[string]string{
		"mesh_policy":      m.status.GetPolicy(),
		"ring_size":        fmt.Sprint(m.status.GetRingSize()),
		"session_mode":     m.status.GetSessionMode(),
		"no_header_answer": m.probe,
		"gap_threshold":    r.spec.GapThreshold.String(),
		"watchdog":         r.spec.Watchdog.String(),
		"send_times":       "one a period of each call, moved by up to a quarter of the period",
		"late_by":          lateBy.String(),
		"settle_margin":    settleMargin.String(),
		"media_lag_p99":    m.mediaLag.P99.String(),
	}
	for _, p := range m.status.GetProcesses() {
		if p.GetKind() != "" {
			out[p.GetName()] = p.GetKind() + " " + p.GetVersion()
		}
	}
	return out
}
