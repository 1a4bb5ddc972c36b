package cli

import (
	"fmt"
	"os"
	"reflect"
	"slices"
	"strings"

	"github.com/alecthomas/kong"
)

// given is a flag that the command line or the environment sets, with what it was set to.
type given struct {
	flag  *kong.Flag
	value string
}

// givenTo are those of the command that k runs.
func givenTo(k *kong.Context) []given {
	var out []given
	for _, flag := range k.Selected().Flags {
		onLine := slices.ContainsFunc(k.Path, func(p *kong.Path) bool { return p.Flag == flag })
		if onLine || slices.ContainsFunc(flag.Envs, func(name string) bool { _, set := os.LookupEnv(name); return set }) {
			out = append(out, given{flag, spelled(flag)})
		}
	}
	return out
}

// checkGiven fails with errUsage where a flag now has another value than it was given: the folder that is resumed has it from then.
func checkGiven(all []given, dir string) error {
	for _, g := range all {
		then := spelled(g.flag)
		if then == g.value {
			continue
		}
		began := fmt.Sprintf("with --%s %s", g.flag.Name, then)
		if then == "" {
			began = "without"
		}
		return fmt.Errorf("%w: --%s %s: %s was begun %s, and goes on so; leave the flag out, or begin a new compare",
			errUsage, g.flag.Name, g.value, dir, began)
	}
	return nil
}

// spelled is a flag's value as on the command line.
func spelled(flag *kong.Flag) string {
	if flag.Target.Kind() != reflect.Slice {
		return fmt.Sprint(flag.Target.Interface())
	}
	var parts []string
	for i := range flag.Target.Len() {
		parts = append(parts, fmt.Sprint(flag.Target.Index(i).Interface()))
	}
	return strings.Join(parts, ",")
}
