package discovery

import (
	"errors"
	"fmt"
	"net/url"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/smaran-v2/smaran/services/discovery/dns"
	"github.com/smaran-v2/smaran/services/discovery/kubernetes"
)

// ErrLocation is returned for a URL that names no list of pods, wrapped with what was expected.
var ErrLocation = errors.New("not the location of a list of pods")

// The schemes of locations.
const (
	schemeFile       = "file"
	schemeDNS        = "dns"
	schemeKubernetes = "kubernetes"
)

// What each scheme expects, as errors show it.
const (
	wantFile       = "file:///path/endpoints.json, with an absolute path"
	wantDNS        = "dns://NAME:PORT?admin=PORT, such as dns://jarvis:8080?admin=9090"
	wantKubernetes = "kubernetes://NAMESPACE/SERVICE?port=NAME, such as kubernetes://dev/jarvis-service?port=http"
)

// Location is where a list of pods is: one of File, Name and Service. The zero Location is nowhere.
type Location struct {
	text string
	// what is a file's path, a dns.Name or a kubernetes.Service.
	what any
}

// File is the location of an endpoints file, whose path must be absolute.
func File(path string) Location {
	return Location{text: (&url.URL{Scheme: schemeFile, Path: filepath.ToSlash(path)}).String(), what: path}
}

// Parse reads a URL. It fails with ErrLocation, also for what it does not know: a parameter that is misspelled would otherwise
// be a default.
func Parse(text string) (Location, error) {
	u, err := url.Parse(text)
	if err != nil {
		return Location{}, wrong(text, strings.Join([]string{wantFile, wantDNS, wantKubernetes}, "; or "))
	}
	l := Location{text: text}
	switch u.Scheme {
	case schemeFile:
		if u.Host != "" || u.RawQuery != "" || u.Fragment != "" || !filepath.IsAbs(filepath.FromSlash(u.Path)) || strings.HasSuffix(u.Path, "/") {
			return Location{}, wrong(text, wantFile)
		}
		l.what = filepath.FromSlash(u.Path)
	case schemeDNS:
		query, ok := only(u, "admin")
		port, admin := portNumber(u.Port()), portNumber(query)
		if !ok || u.Hostname() == "" || u.Path != "" || port == 0 || admin == 0 {
			return Location{}, wrong(text, wantDNS)
		}
		l.what = dns.Name{Host: u.Hostname(), Port: port, Admin: admin}
	case schemeKubernetes:
		port, ok := only(u, "port")
		service := strings.TrimPrefix(u.Path, "/")
		if !ok || u.Hostname() == "" || u.Port() != "" || service == "" || strings.Contains(service, "/") || port == "" {
			return Location{}, wrong(text, wantKubernetes)
		}
		l.what = kubernetes.Service{Namespace: u.Hostname(), Name: service, Port: port}
	default:
		return Location{}, wrong(text, strings.Join([]string{wantFile, wantDNS, wantKubernetes}, "; or "))
	}
	return l, nil
}

// only is the one parameter of u, if it has that one once, and neither user nor fragment.
func only(u *url.URL, key string) (value string, ok bool) {
	query, err := url.ParseQuery(u.RawQuery)
	if err != nil || len(query) != 1 || len(query[key]) != 1 || u.User != nil || u.Fragment != "" {
		return "", false
	}
	return query.Get(key), true
}

// portNumber is 0 for what is no port.
func portNumber(text string) uint16 {
	n, err := strconv.ParseUint(text, 10, 16)
	if err != nil {
		return 0
	}
	return uint16(n)
}

func wrong(text, want string) error {
	return fmt.Errorf("%w: %q, expected %s", ErrLocation, text, want)
}

// UnmarshalText lets configuration hold a Location. It fails as Parse does.
func (l *Location) UnmarshalText(text []byte) error {
	parsed, err := Parse(string(text))
	if err != nil {
		return err
	}
	*l = parsed
	return nil
}

// IsZero is whether it is nowhere.
func (l Location) IsZero() bool { return l.what == nil }

// Service is the Service that a kubernetes:// location names; ok is false for another one.
func (l Location) Service() (s kubernetes.Service, ok bool) {
	s, ok = l.what.(kubernetes.Service)
	return s, ok
}

// String is the URL.
func (l Location) String() string { return l.text }
