package claims

import (
	"errors"
	"net/http"

	"github.com/smaran-v2/smaran/services/session"
)

// Keys of Result.settings that evaluators read.
const (
	settingSessionMode    = "session_mode"
	settingNoHeaderAnswer = "no_header_answer"
	settingRedis          = "redis"
)

// embeddedRedis begins the setting of a fleet whose Redis was none.
const embeddedRedis = "miniredis"

// CodeSessionMissing is the code of a refusal for want of a session: what package session says of a request without its
// header.
func CodeSessionMissing() string {
	var missing *session.Error
	if _, err := session.FromHeader(http.Header{}); errors.As(err, &missing) {
		return missing.Code
	}
	return ""
}
