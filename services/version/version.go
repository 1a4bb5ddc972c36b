// Package version says which revision of this repository a program was built from. Reports and /metrics carry it.
package version

import "runtime/debug"

// Revision is set by the linker (see the Makefile); empty in a plain go build.
var Revision string

// Unknown is String's word for a build that neither the linker nor the go command told its revision.
const Unknown = "unknown"

// String returns Revision, or else the revision that the go command recorded, or Unknown.
func String() string {
	if Revision != "" {
		return Revision
	}
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, s := range info.Settings {
			if s.Key == "vcs.revision" {
				return s.Value
			}
		}
	}
	return Unknown
}
