package figures

import reportv1 "github.com/smaran-v2/smaran/proto/report/v1"

// FleetSize is the number of pods that a result's load could have gone to: those that are listed, or, since not every driver lists a
// pod that served nothing, the most that were healthy at once.
func FleetSize(r *reportv1.Result) int {
	n := len(r.GetPods())
	for _, e := range r.GetEvents() {
		for _, c := range e.GetChanges() {
			n = max(n, int(c.GetHealthy()))
		}
	}
	return n
}

// Served is the number of pods that answered a request of a result's load.
func Served(r *reportv1.Result) int {
	n := 0
	for _, p := range r.GetPods() {
		if p.GetRequests() > 0 {
			n++
		}
	}
	return n
}

// PeakToMean is the load of a result's busiest pod above the mean of its fleet, never under 1, and false where no pod served. It is of
// one run, since pods of two runs have nothing in common where each run names its own.
func PeakToMean(r *reportv1.Result) (float64, bool) {
	var sum, peak uint64
	for _, p := range r.GetPods() {
		sum, peak = sum+p.GetRequests(), max(peak, p.GetRequests())
	}
	if sum == 0 {
		return 0, false
	}
	return float64(peak) * float64(FleetSize(r)) / float64(sum), true
}
