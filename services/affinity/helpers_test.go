package affinity_test

import (
	"fmt"

	"github.com/smaran-v2/smaran/services/affinity"
)

// hosts4 is 10.0.0.1:8080 and so on.
func hosts4(n int) []affinity.Host {
	hosts := make([]affinity.Host, n)
	for i := range hosts {
		hosts[i].Address = fmt.Sprintf("10.0.%d.%d:8080", (i+1)>>8, (i+1)&0xff)
	}
	return hosts
}
