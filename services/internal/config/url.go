package config

import "net/url"

// IsBase is whether s is scheme and authority alone, such as http://127.0.0.1:8080, or empty.
func IsBase(s string) bool {
	u, err := url.Parse(s)
	return s == "" || err == nil && (u.Scheme == "http" || u.Scheme == "https") && u.Host != "" && *u == url.URL{Scheme: u.Scheme, Host: u.Host}
}
