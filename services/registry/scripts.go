package registry

import (
	_ "embed"
	"fmt"
	"strconv"

	"github.com/redis/go-redis/v9"
)

var (
	//go:embed claim.lua
	claimSource string
	//go:embed renew.lua
	renewSource string
	//go:embed release.lua
	releaseSource string
	//go:embed assert.lua
	assertSource string
	//go:embed reclaim.lua
	reclaimSource string
)

// scripts are the register's atomic steps. They hold no state besides the digests of their sources.
type scripts struct {
	claim, renew, release, assert, reclaim *redis.Script
}

func newScripts() scripts {
	return scripts{
		claim:   redis.NewScript(claimSource),
		renew:   redis.NewScript(renewSource),
		release: redis.NewScript(releaseSource),
		assert:  redis.NewScript(assertSource),
		reclaim: redis.NewScript(reclaimSource),
	}
}

// Outcomes in the first element of a script's reply.
const (
	outcomeKept     = "kept"
	outcomeAssigned = "assigned"
	outcomeUnknown  = "unknown"
	outcomeNone     = "none"
	outcomeLost     = "lost"
	outcomeHeld     = "held"
	outcomeOther    = "other"
)

// ownerReply is {outcome, pod, address, incarnation, epoch}, the reply of claim.lua and assert.lua.
func ownerReply(reply []string) (outcome string, o Owner, err error) {
	const length = 5
	if len(reply) != length {
		return "", Owner{}, fmt.Errorf("script replied with %d values: expected %d", len(reply), length)
	}
	epoch, err := strconv.ParseUint(reply[4], 10, 64)
	if err != nil {
		return "", Owner{}, fmt.Errorf("script replied with epoch %q: %w", reply[4], err)
	}
	return reply[0], Owner{Pod: reply[1], Address: reply[2], Incarnation: reply[3], Epoch: epoch}, nil
}
