package builds

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	reportv1 "github.com/smaran-v2/smaran/proto/report/v1"
	"github.com/smaran-v2/smaran/services/version"
)

// separator is between the revisions of several pods.
const separator = ","

// Join is several pods' revisions as one word, each once.
func Join(revisions []string) string {
	all := slices.Clone(revisions)
	slices.Sort(all)
	return strings.Join(slices.Compact(all), separator)
}

// Kind is what a fleet calls its processes that are built from this repository; the revision follows in their settings.
const Kind = "go"

// Check makes a result invalid whose settings name another revision of smaran, of a pod or of the generator than own, or than each other.
// What is unknown is in the settings, and no reason. anew says what to type.
func Check(r *reportv1.Result, own, anew string) {
	known := []string{"loadtest " + own}
	if own == version.Unknown {
		known = nil
	}
	for _, program := range []string{"smaran", "jarvis", "generator"} {
		for _, revision := range revisions(r.GetSettings()[program]) {
			known = append(known, program+" "+revision)
		}
	}
	distinct := map[string]bool{}
	for _, k := range known {
		_, revision, _ := strings.Cut(k, " ")
		distinct[commit(revision)] = true
	}
	if len(distinct) < 2 {
		return
	}
	r.Valid = false
	r.InvalidReasons = append(r.InvalidReasons, fmt.Sprintf("what ran is of several revisions (%s): make build && %s, then run it again",
		strings.Join(known, ", "), anew))
}

// described is a revision as git describe has it, or the go command: whole, or as many digits as git shows.
var described = regexp.MustCompile(`^(?:.*-g)?([0-9a-f]{7})[0-9a-f]*(-dirty)?$`)

// commit is what two names of one revision have in common.
func commit(revision string) string {
	if m := described.FindStringSubmatch(revision); m != nil {
		return m[1] + m[2]
	}
	return revision
}

// revisions are those that a setting begins with, after its kind if it has one. Unknown ones are left out.
func revisions(setting string) []string {
	words := strings.Fields(strings.TrimPrefix(setting, Kind+" "))
	if len(words) == 0 {
		return nil
	}
	return slices.DeleteFunc(strings.Split(words[0], separator), func(r string) bool { return r == "" || r == version.Unknown })
}
