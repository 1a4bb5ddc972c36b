package httpserver

import (
	"net"
	"net/http"
	"strings"
)

// IsLoopback is whether a host, a name or an address without a port, is this machine under an address that no other can reach.
func IsLoopback(host string) bool {
	if host == "localhost" {
		return true
	}
	ip := net.ParseIP(host)
	return ip != nil && ip.IsLoopback()
}

// NamesLoopback is whether a request's Host is loopback. A server that asks nobody who they are refuses others, so that no web page
// reaches it by a name that was made to resolve to 127.0.0.1.
func NamesLoopback(r *http.Request) bool {
	host, _, err := net.SplitHostPort(r.Host)
	if err != nil {
		host = strings.Trim(r.Host, "[]") // an IPv6 address without a port
	}
	return IsLoopback(host)
}
