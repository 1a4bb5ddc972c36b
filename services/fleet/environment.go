package fleet

import (
	"fmt"
	"runtime"
	"slices"
	"strings"

	"github.com/smaran-v2/smaran/services/internal/config"
)

// prefixes of the environment of what the fleet starts.
func prefixes() []string {
	return []string{config.PrefixSmaran, config.PrefixJarvis, config.PrefixMesh}
}

// environment is a list of "KEY=value", as in os.Environ.
type environment []string

func (e environment) get(key string) string {
	for _, entry := range e {
		if value, ok := strings.CutPrefix(entry, key+"="); ok {
			return value
		}
	}
	return ""
}

// inherited is what children get of the fleet's own environment: enough to run, to export traces, and to be measured by the Go
// tools. A stray SMARAN_ or JARVIS_ variable of the user's shell would stop them, as they accept no unknown key.
func (e environment) inherited() environment {
	var kept environment
	for _, entry := range e {
		key, _, _ := strings.Cut(entry, "=")
		if strings.HasPrefix(key, "OTEL_") ||
			slices.Contains([]string{"PATH", "TMPDIR", "SSL_CERT_FILE", "SSL_CERT_DIR", "GOCOVERDIR", "GORACE", "GODEBUG"}, key) {
			kept = append(kept, entry)
		}
	}
	return kept
}

// with appends settings, sorted by key so that a process's environment is the same each time; empty values are left out, which
// leaves the default of the one that reads it.
func (e environment) with(settings map[string]string) environment {
	out := slices.Clone(e)
	added := make(environment, 0, len(settings))
	for key, value := range settings {
		if value != "" {
			added = append(added, key+"="+value)
		}
	}
	slices.Sort(added)
	return append(out, added...)
}

// overridden appends those of the user's own settings that have the prefix, in place of what was there.
func (e environment) overridden(prefix string, own []string) environment {
	out := slices.Clone(e)
	for _, entry := range own {
		if !strings.HasPrefix(entry, prefix) {
			continue
		}
		key, _, _ := strings.Cut(entry, "=")
		out = slices.DeleteFunc(out, func(old string) bool { return strings.HasPrefix(old, key+"=") })
		out = append(out, entry)
	}
	return out
}

// goLimits keeps a dozen Go processes on one machine from each behaving as if it were theirs. The memory limit is soft.
func goLimits(memoryMiB int) map[string]string {
	const maxProcs = 4
	return map[string]string{
		"GOMAXPROCS": fmt.Sprint(min(runtime.NumCPU(), maxProcs)),
		"GOMEMLIMIT": fmt.Sprintf("%dMiB", memoryMiB),
	}
}
