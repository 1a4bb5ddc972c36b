package mesh

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/alecthomas/kong"

	"github.com/smaran-v2/smaran/services/affinity"
	"github.com/smaran-v2/smaran/services/internal/config"
	"github.com/smaran-v2/smaran/services/session"
)

// ErrHelp is returned by Parse where the arguments asked for help, which was written.
var ErrHelp = errors.New("mesh: help was asked for")

// envPrefix starts the environment variables that stand for flags: MESH_RING_SIZE for --ring-size.
const envPrefix = config.PrefixMesh

// Parse reads options from flags, and from MESH_* variables where a flag is not given. It is strict: what it does not
// know fails with ErrOptions. Help goes to out.
func Parse(args, environ []string, out io.Writer) (Options, error) {
	var o Options
	helped := false
	parser, err := kong.New(&o,
		kong.Name("mesh"),
		kong.Description("Envoy's session affinity as a small proxy. Each flag is also a variable: MESH_RING_SIZE for --ring-size."),
		kong.Vars{
			"policies":      joinPolicies(),
			"ringSize":      fmt.Sprint(affinity.DefaultMinRingSize),
			"tableSize":     fmt.Sprint(affinity.DefaultTableSize),
			"sessionHeader": session.Header,
		},
		kong.Writers(out, out),
		kong.Exit(func(int) { helped = true }),
	)
	if err != nil {
		return Options{}, fmt.Errorf("%w: %w", ErrOptions, err)
	}
	values, err := variables(parser.Model, environ)
	if err != nil {
		return Options{}, err
	}
	_, err = values.parse(parser, args)
	switch {
	case helped:
		return Options{}, ErrHelp
	case err != nil:
		return Options{}, fmt.Errorf("%w: %w", ErrOptions, err)
	}
	return o, o.Check()
}

// environment is the MESH_* variables, as a kong.Resolver.
type environment map[string]string

func variables(model *kong.Application, environ []string) (environment, error) {
	var known []string
	for _, f := range model.Flags {
		if f.Name != "help" {
			known = append(known, variable(f.Name))
		}
	}
	values := environment{}
	for _, entry := range environ {
		key, value, ok := strings.Cut(entry, "=")
		if !ok || !strings.HasPrefix(key, envPrefix) {
			continue
		}
		if !slices.Contains(known, key) {
			slices.Sort(known)
			return nil, fmt.Errorf("%w: unknown variable %s, want one of %s", ErrOptions, key, strings.Join(known, " "))
		}
		values[key] = value
	}
	return values, nil
}

func variable(flag string) string {
	return envPrefix + strings.ToUpper(strings.ReplaceAll(flag, "-", "_"))
}

func (e environment) parse(parser *kong.Kong, args []string) (*kong.Context, error) {
	if err := kong.Resolvers(e).Apply(parser); err != nil {
		return nil, err
	}
	return parser.Parse(args)
}

// Validate implements kong.Resolver.
func (e environment) Validate(*kong.Application) error { return nil }

// Resolve implements kong.Resolver.
func (e environment) Resolve(_ *kong.Context, _ *kong.Path, flag *kong.Flag) (any, error) {
	if value, ok := e[variable(flag.Name)]; ok {
		return value, nil
	}
	return nil, nil
}
