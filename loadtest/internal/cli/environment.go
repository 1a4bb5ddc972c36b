package cli

import (
	"fmt"
	"strings"

	"github.com/alecthomas/kong"
)

// envPrefix begins the variables that set flags: LOADTEST_CALLS is --calls.
const envPrefix = "LOADTEST"

// checkEnvironment fails with errUsage where a variable has the prefix and sets no flag: a misspelt one would be ignored.
func checkEnvironment(model *kong.Application, environ []string) error {
	known := map[string]bool{}
	for _, leaf := range model.Leaves(false) {
		for _, group := range leaf.AllFlags(false) {
			for _, flag := range group {
				for _, name := range flag.Envs {
					known[name] = true
				}
			}
		}
	}
	for _, variable := range environ {
		name, _, _ := strings.Cut(variable, "=")
		if strings.HasPrefix(name, envPrefix+"_") && !known[name] {
			return fmt.Errorf("%w: %s sets no flag; unset it, or name a flag as in %s_CALLS for --calls", errUsage, name, envPrefix)
		}
	}
	return nil
}
