package envoyadmin

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"strings"
)

// Errors of an Envoy.
var (
	// ErrAdmin is returned where the interface can't be asked, or says what is not understood.
	ErrAdmin = errors.New("envoy's admin interface")
	// ErrNoCluster is returned for a cluster that Envoy does not have.
	ErrNoCluster = errors.New("envoy has no such cluster")
)

// Bounds of an answer, in bytes: one in full, and what an error repeats of it.
const (
	maxAnswer  = 16 << 20
	maxComment = 512
)

// Admin is an Envoy's admin interface.
type Admin struct {
	HTTP *http.Client
	// Base URL, such as http://127.0.0.1:9901.
	Base string
}

// ask decodes the JSON of an answer.
func (a Admin) ask(ctx context.Context, path string, query url.Values, into any) error {
	target := a.Base + path
	if len(query) > 0 {
		target += "?" + query.Encode()
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, target, nil)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrAdmin, err)
	}
	res, err := a.HTTP.Do(req)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrAdmin, err)
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		said, _ := io.ReadAll(io.LimitReader(res.Body, maxComment))
		return fmt.Errorf("%w: %s: %s: %s", ErrAdmin, path, res.Status, strings.TrimSpace(string(said)))
	}
	if err := json.NewDecoder(io.LimitReader(res.Body, maxAnswer)).Decode(into); err != nil {
		return fmt.Errorf("%w: %s: %w", ErrAdmin, path, err)
	}
	return nil
}

// Dump asks for one kind of resource of the configuration (/config_dump, envoy/admin/v3/config_dump.proto), by its field's name, such as
// static_clusters, and by the name of the thing.
func (a Admin) Dump(ctx context.Context, resource, name string, into any) error {
	q := url.Values{"resource": {resource}, "name_regex": {"^" + regexp.QuoteMeta(name) + "$"}}
	if resource == dynamicEndpoints {
		q.Set("include_eds", "")
	}
	return a.ask(ctx, "/config_dump", q, into)
}

// Version is Envoy's own, such as 1.39.3.
func (a Admin) Version(ctx context.Context) (string, error) {
	var info struct {
		Version string `json:"version"`
	}
	if err := a.ask(ctx, "/server_info", nil, &info); err != nil {
		return "", err
	}
	// revision/version/status/type/TLS library
	parts := strings.Split(info.Version, "/")
	if len(parts) < 2 {
		return "", fmt.Errorf("%w: /server_info: version is %q, expected revision/version/…", ErrAdmin, info.Version)
	}
	return parts[1], nil
}
