// Package spans reads traces of calls from Jaeger, for tests that a call is one trace from its caller to the pods. It knows no more of Jaeger's
// API than that takes.
package spans

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/smaran-v2/smaran/services/wire"
)

// ErrJaeger is returned where Jaeger does not answer as expected.
var ErrJaeger = errors.New("spans: jaeger")

// Service is what the load test's generator calls itself.
const Service = "loadtest"

// ways are the paths that every call has which asked for an inference; a real Envoy between smaran and the pod makes no span.
var ways = []string{
	placed + wire.SpanRoute, placed + rpc + "Offer > jarvis " + rpc + "Offer",
	asked + wire.SpanRoute, asked + rpc + "Infer > jarvis " + rpc + "Infer > jarvis " + wire.SpanInfer,
}

const (
	posted = Service + " " + wire.SpanCall + " > " + Service + " POST > smaran POST "
	placed = posted + wire.PathCalls + " > smaran "
	asked  = posted + wire.PathInference + " > smaran "
	rpc    = "jarvis.v1.JarvisService/"
)

// limit is how many traces are asked for at most.
const limit = 200

// Trace is what Jaeger has of one call.
type Trace struct {
	id    string
	spans map[string]span
	names map[string]string // of services, by process
}

type span struct {
	Trace      string `json:"traceID"`
	ID         string `json:"spanID"`
	Process    string `json:"processID"`
	Name       string `json:"operationName"`
	References []struct {
		Type  string `json:"refType"`
		Trace string `json:"traceID"`
		Span  string `json:"spanID"`
	} `json:"references"`
}

// Calls are the traces of all calls that Jaeger at the address, a URL, has of the last hour. It fails with ErrJaeger.
func Calls(ctx context.Context, client *http.Client, address string) ([]Trace, error) {
	url := fmt.Sprintf("%s/api/traces?service=%s&operation=%s&limit=%d&lookback=1h", address, Service, wire.SpanCall, limit)
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrJaeger, err)
	}
	res, err := client.Do(r)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrJaeger, err)
	}
	defer res.Body.Close()
	var said struct {
		Data []struct {
			ID        string `json:"traceID"`
			Spans     []span `json:"spans"`
			Processes map[string]struct {
				Service string `json:"serviceName"`
			} `json:"processes"`
		} `json:"data"`
	}
	if err := json.NewDecoder(res.Body).Decode(&said); err != nil || res.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%w: %s: %w", ErrJaeger, res.Status, err)
	}
	var traces []Trace
	for _, from := range said.Data {
		t := Trace{id: from.ID, spans: map[string]span{}, names: map[string]string{}}
		for id, p := range from.Processes {
			t.names[id] = p.Service
		}
		for _, s := range from.Spans {
			t.spans[s.ID] = s
		}
		traces = append(traces, t)
	}
	return traces, nil
}

// Paths are the ways from the call to each of its spans, "loadtest call > loadtest POST > smaran POST /v1/calls", sorted and each once. A span
// whose parent is not there has a path that does not begin with the call.
func (t Trace) Paths() (paths []string) {
	for _, s := range t.spans {
		steps := []string{}
		for there := true; there; s, there = t.parent(s) {
			steps = append(steps, t.names[s.Process]+" "+s.Name)
		}
		slices.Reverse(steps)
		paths = append(paths, strings.Join(steps, " > "))
	}
	slices.Sort(paths)
	return slices.Compact(paths)
}

// Missing are the paths that every call has which asked for an inference, and this trace lacks.
func (t Trace) Missing() []string {
	paths := t.Paths()
	return slices.DeleteFunc(slices.Clone(ways), func(way string) bool { return slices.Contains(paths, way) })
}

// Below are the names of the spans that the call's own has below it, sorted and each once.
func (t Trace) Below() (names []string) {
	for _, path := range t.Paths() {
		if steps := strings.Split(path, " > "); len(steps) > 1 && steps[0] == Service+" "+wire.SpanCall {
			_, name, _ := strings.Cut(steps[len(steps)-1], " ")
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

func (t Trace) parent(of span) (parent span, there bool) {
	for _, r := range of.References {
		if r.Type == "CHILD_OF" && r.Trace == t.id {
			parent, there = t.spans[r.Span]
			return parent, there
		}
	}
	return span{}, false
}

// Linked are the names of the spans that another trace caused, sorted and each once.
func (t Trace) Linked() (names []string) {
	for _, s := range t.spans {
		for _, r := range s.References {
			if r.Type == "FOLLOWS_FROM" && r.Trace != t.id {
				names = append(names, s.Name)
			}
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}
