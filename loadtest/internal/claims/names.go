package claims

import (
	"errors"
	"net/http"

	"github.com/smaran-v2/smaran/services/session"
)

// Keys of Result.settings that evaluators read.
const (
	settingSessionMode = "session_mode"
	settingRedis       = "redis"
)

// codeSessionMissing is the key in Result.errors of requests refused for want of a session: what package session says
// of a request without its header.
func codeSessionMissing() string {
	var missing *session.Error
	if _, err := session.FromHeader(http.Header{}); errors.As(err, &missing) {
		return missing.Code
	}
	return ""
}
