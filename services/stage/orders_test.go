package stage_test

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/jonboulle/clockwork"
	"github.com/stretchr/testify/require"

	"github.com/smaran-v2/smaran/services/stage"
	"github.com/smaran-v2/smaran/services/stage/director"
	"github.com/smaran-v2/smaran/services/stage/scene"
	"github.com/smaran-v2/smaran/services/stage/venue"
	"github.com/smaran-v2/smaran/services/wire"
)

const asJSONBody = "application/json"

func TestAnOrderIsWhatTheBodySays(t *testing.T) {
	d := &doer{}
	url, _ := serve(t, handler(t, stage.Options{Doer: d}))
	for path, tc := range map[string]struct {
		body string
		want director.Order
	}{
		"backend": {`{"lane":"a","backend":"redis"}`, director.Order{Verb: venue.Backend, Lanes: []string{"a"}, Backend: "redis"}},
		"scale":   {`{"pods":10}`, director.Order{Verb: venue.Scale, Pods: 10}},
		"kill":    {`{}`, director.Order{Verb: venue.Kill}},
		"drain":   {`{"pod":"jarvis-2","lane":"b"}`, director.Order{Verb: venue.Drain, Lanes: []string{"b"}, Pod: "jarvis-2"}},
		"freeze":  {`{"pod":"jarvis-2"}`, director.Order{Verb: venue.Freeze, Pod: "jarvis-2"}},
		"thaw":    {`{"pod":"jarvis-2"}`, director.Order{Verb: venue.Thaw, Pod: "jarvis-2"}},
		"rollout": {`{}`, director.Order{Verb: venue.Rollout}},
		"redis":   {`{"up":true}`, director.Order{Verb: venue.Redis, Up: true}},
		"smaran":  {` {} `, director.Order{Verb: venue.Smaran}},
		"load":    {`{"calls":24,"rate":0.5}`, director.Order{Verb: venue.Load, Calls: 24, Rate: 0.5}},
		"header":  {`{"dropped":true}`, director.Order{Verb: venue.Header, Dropped: true}},
		"reset":   {`{"lane":"a"}`, director.Order{Verb: venue.Reset, Lanes: []string{"a"}}},
	} {
		d.orders = nil
		res := ask(t, http.MethodPost, url+"/api/v1/"+path, tc.body, "Content-Type", asJSONBody+"; charset=utf-8")
		require.Equal(t, http.StatusAccepted, res.code, res.body)
		require.JSONEq(t, `{"group":1}`, res.body)
		require.Equal(t, []director.Order{tc.want}, d.orders, path)
	}
}

func TestABodyThatIsNotAnOrderIsRefused(t *testing.T) {
	d := &doer{}
	url, _ := serve(t, handler(t, stage.Options{Doer: d}))
	for name, tc := range map[string]struct{ path, body, says string }{
		"nothing":             {"scale", ``, "no JSON object"},
		"a list":              {"scale", `[1]`, "no JSON object"},
		"half":                {"scale", `{"pods":1`, "does not parse"},
		"half a member":       {"scale", `{"pods":`, "pods does not parse"},
		"no comma":            {"backend", `{"backend":"redis" "lane":"a"}`, "does not parse"},
		"two":                 {"scale", `{"pods":1}{"pods":2}`, "more after"},
		"and more":            {"scale", `{"pods":1} x`, "more after"},
		"unknown":             {"scale", `{"pods":1,"pod":"x"}`, `unknown member "pod", expected lane, pods`},
		"another case":        {"scale", `{"Pods":1}`, "unknown member"},
		"twice":               {"scale", `{"pods":1,"pods":2}`, "twice"},
		"missing":             {"scale", `{}`, "pods is missing"},
		"missing lane's name": {"scale", `{"pods":1,"lane":""}`, "lane has no value"},
		"null":                {"drain", `{"pod":null}`, "pod has no value"},
		"a string":            {"scale", `{"pods":"1"}`, "expected a whole number"},
		"a fraction":          {"scale", `{"pods":1.5}`, "expected a whole number"},
		"too much":            {"scale", `{"pods":99999999999999999999}`, "expected a whole number"},
		"no string":           {"drain", `{"pod":2}`, "expected a string"},
		"no truth":            {"redis", `{"up":1}`, "expected true or false"},
		"no number":           {"load", `{"calls":1,"rate":1e999}`, "expected a number"},
		"rollout of a pod":    {"rollout", `{"pod":"jarvis-1"}`, "expected lane"},
	} {
		res := ask(t, http.MethodPost, url+"/api/v1/"+tc.path, tc.body, "Content-Type", asJSONBody)
		require.Equal(t, http.StatusBadRequest, res.code, name)
		p := problem(t, res)
		require.Equal(t, wire.CodeBadRequest, p.Code, name)
		require.Contains(t, p.Detail, tc.says, name)
		require.NotEmpty(t, p.Example, name)
	}
	require.Empty(t, d.orders)
}

// The limits in the file are those that the director has.
func TestTheLimitsOfTheFileAreTheDirectors(t *testing.T) {
	doc, _ := described(t)
	clock := clockwork.NewRealClock()
	client := &http.Client{Transport: &http.Transport{}}
	t.Cleanup(client.CloseIdleConnections)
	d, err := director.New(director.Options{
		Venue: place{lanes: []venue.Lane{{ID: "a", Smaran: nobody(t)}}}, Scene: scene.New(clock), Clock: clock, Log: slog.New(slog.DiscardHandler), HTTP: client,
	})
	require.NoError(t, err)
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- d.Run(ctx) }()
	defer func() { stop(); <-ended }()
	for _, o := range []director.Order{
		{Verb: venue.Scale, Pods: 0}, {Verb: venue.Scale, Pods: 1}, {Verb: venue.Scale, Pods: 240}, {Verb: venue.Scale, Pods: 241},
		{Verb: venue.Load, Calls: -1, Rate: 1}, {Verb: venue.Load, Rate: 1}, {Verb: venue.Load, Calls: 1000, Rate: 1}, {Verb: venue.Load, Calls: 1001, Rate: 1},
		{Verb: venue.Load, Rate: 0}, {Verb: venue.Load, Rate: 0.001}, {Verb: venue.Load, Rate: 1000}, {Verb: venue.Load, Rate: 1000.5},
	} {
		_, err := d.Do(t.Context(), o)
		require.Error(t, err, "no lane here can do anything")
		body := map[string]any{"pods": float64(o.Pods)}
		if o.Verb == venue.Load {
			body = map[string]any{"calls": float64(o.Calls), "rate": o.Rate}
		}
		schema := doc.Paths.Find("/api/v1/" + string(o.Verb)).Post.RequestBody.Value.Content.Get(asJSONBody).Schema.Value
		described := schema.VisitJSON(body, openapi3.EnableJSONSchema2020())
		require.Equal(t, errors.Is(err, director.ErrOrder), described != nil, "%s %v: the director: %v; the file: %v", o.Verb, body, err, described)
	}
}

// place is a venue that has lanes and nothing else.
type place struct{ lanes []venue.Lane }

func (p place) Lanes() []venue.Lane                        { return p.lanes }
func (place) Recast(context.Context, string, string) error { return venue.ErrNotHere }

func TestWhatGoesWrongInTheStageIsLoggedAndNotShown(t *testing.T) {
	var log strings.Builder
	url, stop := serve(t, handler(t, stage.Options{Doer: &doer{err: errors.New("secret cause")}, Log: slog.New(slog.NewTextHandler(&log, nil))}))
	res := ask(t, http.MethodPost, url+"/api/v1/reset", `{}`, "Content-Type", asJSONBody)
	require.Equal(t, http.StatusInternalServerError, res.code)
	require.NotContains(t, res.body, "secret cause")
	stop()
	require.Contains(t, log.String(), "secret cause")
}
