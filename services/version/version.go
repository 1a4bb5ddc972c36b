// Package version says which revision of this repository a program was built from. Reports and /metrics carry it.
package version

import "runtime/debug"

// Revision is set by the linker (see the Makefile); empty in a plain go build.
var Revision string

// Unknown is String's word for a build that neither the linker nor the go command told its revision.
const Unknown = "unknown"

// dirty ends the revision of a build from a tree with changes of its own, as git describe --dirty has it.
const dirty = "-dirty"

// String returns Revision, or else the revision that the go command recorded, or Unknown.
func String() string {
	if Revision != "" {
		return Revision
	}
	info, _ := debug.ReadBuildInfo()
	return recorded(info)
}

// recorded is the revision that a build's settings hold, or Unknown.
func recorded(info *debug.BuildInfo) string {
	if info == nil {
		return Unknown
	}
	settings := map[string]string{}
	for _, s := range info.Settings {
		settings[s.Key] = s.Value
	}
	revision := settings["vcs.revision"]
	switch {
	case revision == "":
		return Unknown
	case settings["vcs.modified"] == "true":
		return revision + dirty
	default:
		return revision
	}
}
