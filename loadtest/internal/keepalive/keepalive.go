// Package keepalive says after how much silence the load test gives an HTTP/2 connection up that is meant to last, whichever side
// it is at. What goes over the connection, and whether it is dialled again, is its users' business.
package keepalive

import (
	"net/http"
	"time"
)

// A connection on which nothing came for idle is asked for a sign of life, and closed when none comes for patience.
const (
	idle     = 3 * time.Second
	patience = 7 * time.Second
)

// Config is for the HTTP2 of an http.Transport or http.Server.
func Config() *http.HTTP2Config {
	return &http.HTTP2Config{SendPingTimeout: idle, PingTimeout: patience}
}
