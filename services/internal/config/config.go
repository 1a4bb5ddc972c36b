// Package config reads a service's environment once, strictly: an unknown key or an impossible value stops the start with
// one line that says why. It has no files, no reload and no defaults of its own; those stand in each service's struct.
package config

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/caarlos0/env/v11"
)

// Prefixes of the services' variables.
const (
	PrefixSmaran = "SMARAN_"
	PrefixJarvis = "JARVIS_"
	PrefixMesh   = "MESH_"
	PrefixTurn   = "TURN_"
	PrefixStage  = "STAGE_"
)

// ErrUnknownKey and ErrInvalid are what Parse's errors match.
var (
	ErrUnknownKey = errors.New("unknown configuration key")
	ErrInvalid    = errors.New("invalid configuration")
)

// Validator is implemented by a configuration whose values constrain each other.
type Validator interface{ Validate() error }

// Parse fills a T from those entries of environ ("KEY=value") that start with prefix; T's tags are those of caarlos0/env,
// without the prefix. If *T is a Validator it is asked last. Keys with the prefix that T does not know are errors, except
// those in ignore.
func Parse[T any](prefix string, environ []string, ignore ...string) (T, error) {
	var cfg T
	values := map[string]string{}
	for _, entry := range environ {
		if key, value, ok := strings.Cut(entry, "="); ok && strings.HasPrefix(key, prefix) && !slices.Contains(ignore, key) {
			values[key] = value
		}
	}
	options := env.Options{Environment: values, Prefix: prefix}
	fields, err := env.GetFieldParamsWithOptions(&cfg, options)
	if err != nil {
		return cfg, fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	known := make([]string, 0, len(fields))
	for _, f := range fields {
		known = append(known, f.Key)
	}
	for key := range values {
		if !slices.Contains(known, key) {
			slices.Sort(known)
			return cfg, fmt.Errorf("%w: %s; known: %s", ErrUnknownKey, key, strings.Join(known, " "))
		}
	}
	if err := env.ParseWithOptions(&cfg, options); err != nil {
		return cfg, fmt.Errorf("%w: %s", ErrInvalid, oneLine(err))
	}
	if v, ok := any(&cfg).(Validator); ok {
		if err := v.Validate(); err != nil {
			return cfg, fmt.Errorf("%w: %w", ErrInvalid, err)
		}
	}
	return cfg, nil
}

func oneLine(err error) string { return strings.Join(strings.Fields(err.Error()), " ") }
