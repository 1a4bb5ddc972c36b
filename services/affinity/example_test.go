package affinity_test

import (
	"fmt"

	"github.com/smaran-v2/smaran/services/affinity"
)

// Where does a session go, and does it stay there when a pod is added?
func ExamplePredict() {
	pods := []affinity.Host{
		{Address: "10.0.0.1:8080"}, {Address: "10.0.0.2:8080"}, {Address: "10.0.0.3:8080"}, {Address: "10.0.0.4:8080"},
	}
	p, err := affinity.Predict(affinity.PolicyMaglev, affinity.Options{}, pods[:3], pods, []string{"session-1", "room-42"})
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, move := range p.Picks {
		fmt.Printf("%s: %s -> %s\n", move.Session, move.From, move.To)
	}
	fmt.Printf("%d of %d moved; %.0f%% would be the least\n", p.Moved, p.Total, 100*affinity.LeastMoved(pods[:3], pods))
	// Output:
	// session-1: 10.0.0.3:8080 -> 10.0.0.3:8080
	// room-42: 10.0.0.1:8080 -> 10.0.0.1:8080
	// 0 of 2 moved; 25% would be the least
}
