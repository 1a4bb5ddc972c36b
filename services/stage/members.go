package stage

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"slices"
	"strings"

	"github.com/smaran-v2/smaran/services/wire"
)

// maxBody of an order, in bytes.
const maxBody = 4 << 10

// member is one of a JSON object.
type member struct {
	name     string
	required bool
	into     any
}

func required(name string, into any) member { return member{name: name, required: true, into: into} }
func optional(name string, into any) member { return member{name: name, into: into} }

// readMembers reads a body that is one JSON object of these members: each at most once, under exactly its name, and with a value.
// encoding/json would let all of that pass. What an optional one is read into stays as it was where it is left out.
func readMembers(w http.ResponseWriter, r *http.Request, known []member) error {
	received := r.Header.Get("Content-Type")
	if media, _, err := mime.ParseMediaType(received); err != nil || media != wire.ContentTypeJSON {
		return &refusal{status{http.StatusUnsupportedMediaType, wire.CodeUnsupportedMedia},
			fmt.Sprintf("the body is of the media type %q, expected %s", received, wire.ContentTypeJSON)}
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err != nil {
		var tooLarge *http.MaxBytesError
		if errors.As(err, &tooLarge) {
			return err
		}
		return malformed("the body can't be read: %v", err)
	}
	return parseMembers(body, known)
}

func malformed(format string, args ...any) error {
	return &refusal{status{http.StatusBadRequest, wire.CodeBadRequest}, fmt.Sprintf(format, args...)}
}

func parseMembers(body []byte, known []member) error {
	d := json.NewDecoder(bytes.NewReader(body))
	if start, err := d.Token(); err != nil || start != json.Delim('{') {
		return malformed("the body is no JSON object")
	}
	given := map[string]bool{}
	for d.More() {
		token, err := d.Token()
		name, isName := token.(string)
		if err != nil || !isName {
			return malformed("the body does not parse: %v", err)
		}
		i := slices.IndexFunc(known, func(m member) bool { return m.name == name })
		switch {
		case i < 0:
			return malformed("unknown member %q, expected %s", name, names(known))
		case given[name]:
			return malformed("%s is there twice", name)
		}
		given[name] = true
		var value json.RawMessage
		if err := d.Decode(&value); err != nil {
			return malformed("%s does not parse: %v", name, err)
		}
		switch string(value) {
		case "null", `""`:
			return malformed("%s has no value; leave it out instead", name)
		}
		if err := json.Unmarshal(value, known[i].into); err != nil {
			return malformed("%s is %s, expected %s", name, value, kindOf(known[i].into))
		}
	}
	if _, err := d.Token(); err != nil {
		return malformed("the body does not parse: %v", err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return malformed("there is more after the JSON object")
	}
	for _, m := range known {
		if m.required && !given[m.name] {
			return malformed("%s is missing", m.name)
		}
	}
	return nil
}

func names(members []member) string {
	if len(members) == 0 {
		return "none"
	}
	all := make([]string, len(members))
	for i, m := range members {
		all[i] = m.name
	}
	return strings.Join(all, ", ")
}

// kindOf says what a value has to be, in JSON's words.
func kindOf(into any) string {
	switch into.(type) {
	case *string:
		return "a string"
	case *bool:
		return "true or false"
	case *int:
		return "a whole number"
	}
	return "a number"
}
