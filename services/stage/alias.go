package stage

import (
	"crypto/sha256"
	"encoding/hex"

	"google.golang.org/protobuf/proto"

	stagev1 "github.com/smaran-v2/smaran/proto/stage/v1"
)

// alias is a name for a session that tells nobody the session: whoever knows an id can end its call, and go on with its conversation. The caller
// is told its own by wire.HeaderStageSession.
func alias(id string) string {
	sum := sha256.Sum256([]byte(id))
	return hex.EncodeToString(sum[:])[:aliasLength]
}

// aliasLength in hex digits: among some thousand sessions no two have the same.
const aliasLength = 16

// aliased is a frame that names no session.
func aliased(f *stagev1.Frame) *stagev1.Frame {
	out := &stagev1.Frame{
		AtMs: f.GetAtMs(), Whole: f.GetWhole(), Lanes: f.GetLanes(), Pods: f.GetPods(), Events: f.GetEvents(), Points: f.GetPoints(),
		Rings: f.GetRings(), Recording: f.GetRecording(),
	}
	for _, s := range f.GetSessions() {
		s = proto.CloneOf(s)
		s.Id = alias(s.GetId())
		out.Sessions = append(out.Sessions, s)
	}
	for _, g := range f.GetGone() {
		if id := g.GetSession(); id != "" {
			g = &stagev1.Gone{Lane: g.GetLane(), Thing: &stagev1.Gone_Session{Session: alias(id)}}
		}
		out.Gone = append(out.Gone, g)
	}
	return out
}
