package affinity

import "fmt"

// Move is where one session's requests go before and after a change. The hosts are addresses, "" where there is
// no host.
type Move struct {
	Session string `json:"session"`
	From    string `json:"from"`
	To      string `json:"to"`
}

// Prediction is what a change of the hosts does to a set of sessions.
type Prediction struct {
	// Total is the number of sessions, Moved how many of them change their host.
	Total int `json:"total"`
	Moved int `json:"moved"`
	// Picks has one entry a session, in the order given.
	Picks []Move `json:"picks"`
	// LoadFrom and LoadTo are sessions by address, before and after; a host without sessions is there with 0.
	LoadFrom map[string]int `json:"-"`
	LoadTo   map[string]int `json:"-"`
}

// MovedShare is Moved/Total, or 0 without sessions.
func (p Prediction) MovedShare() float64 {
	if p.Total == 0 {
		return 0
	}
	return float64(p.Moved) / float64(p.Total)
}

// Predict says where each session goes under the hosts from and under the hosts to, for requests whose only hash
// policy is the session in one header or cookie. For PolicyRing and PolicyMaglev it is what Envoy does. It fails with
// ErrPolicy, ErrOptions or ErrWeights.
func Predict(p Policy, o Options, from, to []Host, sessions []string) (Prediction, error) {
	before, err := New(p, from, o)
	if err != nil {
		return Prediction{}, fmt.Errorf("hosts before the change: %w", err)
	}
	after, err := New(p, to, o)
	if err != nil {
		return Prediction{}, fmt.Errorf("hosts after the change: %w", err)
	}
	out := Prediction{
		Total:    len(sessions),
		Picks:    make([]Move, 0, len(sessions)),
		LoadFrom: emptyLoad(from),
		LoadTo:   emptyLoad(to),
	}
	for _, s := range sessions {
		h := HashValue(s)
		m := Move{
			Session: s,
			From:    address(from, before.Pick(h, 0)),
			To:      address(to, after.Pick(h, 0)),
		}
		if m.From != m.To {
			out.Moved++
		}
		if m.From != "" {
			out.LoadFrom[m.From]++
		}
		if m.To != "" {
			out.LoadTo[m.To]++
		}
		out.Picks = append(out.Picks, m)
	}
	return out, nil
}

// LeastMoved is the share of all sessions, 0 to 1, that must move from one set of hosts to another if the load is in
// proportion to the weights before and after: all but what a host has in common before and after, added up. With equal weights it is 1-n/m
// when n hosts grow to m and 1-m/n when they shrink. Rendezvous attains it in expectation, Maglev comes close, Envoy's
// ring does not (see Ring), and a modulo is far off. Without hosts on one side it is 1, as every session moves.
func LeastMoved(from, to []Host) float64 {
	if len(from) == 0 && len(to) == 0 {
		return 0
	}
	before, after := shares(from), shares(to)
	kept := 0.0
	for _, h := range from { // not over the map, whose order would change the rounding from run to run
		kept += min(before[h.Address], after[h.Address])
		delete(before, h.Address)
	}
	return max(0, 1-kept) // many equal shares may add up to more than 1
}

// shares is each address's share of the weight.
func shares(hosts []Host) map[string]float64 {
	var sum float64
	for _, h := range hosts {
		sum += float64(h.weight())
	}
	out := make(map[string]float64, len(hosts))
	for _, h := range hosts {
		out[h.Address] += float64(h.weight()) / sum
	}
	return out
}

func emptyLoad(hosts []Host) map[string]int {
	load := make(map[string]int, len(hosts))
	for _, h := range hosts {
		load[h.Address] = 0
	}
	return load
}

func address(hosts []Host, i int) string {
	if i < 0 {
		return ""
	}
	return hosts[i].Address
}
