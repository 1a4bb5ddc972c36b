package cli

import (
	"fmt"
	"slices"
	"strings"

	"github.com/alecthomas/kong"
)

// names are those of a flag that takes several: none of them empty, and none twice, since each is a run, and a file, of its own.
type names []string

// Decode implements kong.MapperValue. It fails with errUsage.
func (n *names) Decode(k *kong.DecodeContext) error {
	var text string
	if err := k.Scan.PopValueInto("NAME,…", &text); err != nil {
		return err
	}
	for name := range strings.SplitSeq(text, ",") {
		switch {
		case name == "":
			return fmt.Errorf("%w: %q has an empty name; leave the flag out for its default", errUsage, text)
		case slices.Contains(*n, name):
			return fmt.Errorf("%w: %s is there twice", errUsage, name)
		}
		*n = append(*n, name)
	}
	return nil
}
