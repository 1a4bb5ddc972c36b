package web_test

import (
	"encoding/json"
	"fmt"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/require"

	"github.com/smaran-v2/smaran/services/jarvis/call"
	sessions "github.com/smaran-v2/smaran/services/session"
	"github.com/smaran-v2/smaran/services/testreal/browser"
	"github.com/smaran-v2/smaran/services/wire"
)

// TestTheCallHasTheNamesOnTheWire holds js/call/wire.js to the Go packages.
func TestTheCallHasTheNamesOnTheWire(t *testing.T) {
	type names map[string]string
	want := map[string]names{
		"header": {
			"session": sessions.Header, "pod": wire.HeaderPod, "epoch": wire.HeaderEpoch, "forwarded": wire.HeaderForwarded,
			"stateful": wire.HeaderStateful, "backend": wire.HeaderBackend, "lostPod": wire.HeaderLostPod, "migrate": wire.HeaderMigrate,
			"stageSession": wire.HeaderStageSession,
		},
		"type": {
			"sdp": wire.ContentTypeSDP, "sdpFragment": wire.ContentTypeSDPFragment, "problem": wire.ContentTypeProblem,
			"eventStream": wire.ContentTypeEventStream, "json": wire.ContentTypeJSON,
		},
		"path": {"inference": wire.PathInference, "sessions": wire.PathSessions, "calls": wire.PathCalls},
		"event": {
			"pod": wire.EventPod, "podLost": wire.EventPodLost, "ended": wire.EventEnded, "heartbeat": wire.EventHeartbeat,
			"draining": wire.EventDraining, "migrate": wire.EventMigrate,
		},
		"code":    {"ownerMoved": string(wire.CodeOwnerMoved)},
		"channel": {"label": wire.TranscriptChannel, "type": call.TypeTranscript},
		"reason":  {"notGranted": call.ReasonNotGranted},
	}
	b := newShow(t).plain(t)
	got := ofCall[map[string]names](t, b, "wire", "millis, ...names", "names")
	require.Equal(t, want, got)
	require.InDelta(t, 250, ofCall[float64](t, b, "wire", "millis", `millis("0.250s")`), 1e-9)
}

// ofCall evaluates an expression that uses what a module of the call exports.
func ofCall[T any](t *testing.T, b *browser.Browser, name, export, expression string) T {
	t.Helper()
	return browser.Eval[T](t, b, fmt.Sprintf(`import("/assets/js/call/%s.js").then(async ({ %s }) => %s)`, name, export, expression))
}

func TestRelaysAreReadFromLinks(t *testing.T) {
	b := newShow(t).plain(t)
	read := func(header string) string {
		text, err := json.Marshal(header)
		require.NoError(t, err)
		return ofCall[string](t, b, "link", "iceServers, BadLink",
			fmt.Sprintf(`{ try { return JSON.stringify(iceServers(%s)); } catch (e) { return e instanceof BadLink ? "bad" : String(e); } }`, text))
	}
	const turn = `<turn:192.0.2.7:3478?transport=udp>; rel="ice-server"; username="1764000000:a"; credential="a\"b, c;d"; credential-type="password"`
	const server = `{"urls":"turn:192.0.2.7:3478?transport=udp","username":"1764000000:a","credential":"a\"b, c;d"}`
	for header, want := range map[string]string{
		"":                                   `[]`,
		turn:                                 `[` + server + `]`,
		`<stun:a>; rel=ice-server, ` + turn:  `[{"urls":"stun:a"},` + server + `]`,
		turn + " ,, " + turn:                 `[` + server + `,` + server + `]`,
		`</style.css>; rel=preload; crossed`: `[]`,
		`<turn:a>; REL = "x Ice-Server"; username=u; credential=c`:                    `[{"urls":"turn:a","username":"u","credential":"c"}]`,
		`<turn:a>; rel="ice-server"`:                                                  "bad", // no credential
		`<turn:a>; rel="ice-server"; username=u; credential=c; credential-type=oauth`: "bad",
		`<https://a>; rel="ice-server"`:                                               "bad",
		`turn:a; rel="ice-server"`:                                                    "bad",
		`<turn:a>; rel="ice-server"; username="u`:                                     "bad",
		`<turn:a>; rel="ice-server" username=u; credential=c`:                         "bad",
		`<turn:a b>; rel="ice-server"; username=u; credential=c`:                      "bad",
		`<turn:a>; rel="ice-server"; username=u; credential=c; =strange`:              "bad",
	} {
		require.Equal(t, want, read(header), header)
	}
}

// TestCandidatesAreToldAsAPodTakesThem gives a browser's own candidates to the pods' parser.
func TestCandidatesAreToldAsAPodTakesThem(t *testing.T) {
	b := newShow(t).plain(t)
	got := ofCall[string](t, b, "fragment", "fragment", `{
		const pc = new RTCPeerConnection();
		pc.addTransceiver("audio");
		pc.createDataChannel("transcript");
		const candidates = [];
		pc.onicecandidate = (e) => e.candidate && candidates.push(e.candidate);
		await pc.setLocalDescription(await pc.createOffer());
		const { sdp } = pc.localDescription;
		while (pc.iceGatheringState !== "complete") await new Promise((next) => pc.addEventListener("icegatheringstatechange", next, { once: true }));
		pc.close();
		return fragment(sdp, candidates);
	}`)
	parsed, err := call.ParseFragment(got)
	require.NoError(t, err, got)
	require.NotEmpty(t, parsed.Media)
	require.NotEmpty(t, parsed.Media[0].Candidates, got)
	require.Equal(t, "0", parsed.Media[0].MID)
}

func TestEventsAreReadHoweverTheyAreCut(t *testing.T) {
	b := newShow(t).plain(t)
	const stream = "retry: 250\n\nid: 1\nevent: pod\ndata: {\"a\":\ndata: 1}\n\n: note\r\n\r\nevent: heartbeat\r\ndata:ü\r\n\r\ndata: x\r\rdata: cut off"
	text, err := json.Marshal(stream)
	require.NoError(t, err)
	for _, size := range []int{1, 2, 7, 1000} {
		got := ofCall[string](t, b, "events", "readEvents", fmt.Sprintf(`{
			const bytes = new TextEncoder().encode(%s), out = [];
			const body = new ReadableStream({ start(c) {
				for (let i = 0; i < bytes.length; i += %d) c.enqueue(bytes.slice(i, i + %d));
				c.close();
			} });
			await readEvents(body, (name, data) => { out.push([name, data]); });
			return JSON.stringify(out);
		}`, text, size, size))
		require.Equal(t, `[["pod","{\"a\":\n1}"],["heartbeat","ü"],["message","x"]]`, got, "in pieces of %d", size)
	}
}

// TestGapsAreFoundInWhatWasPlayed gives the ear a receiver whose packets a test plays, on a clock of its own.
func TestGapsAreFoundInWhatWasPlayed(t *testing.T) {
	b := newShow(t).plain(t)
	const rig = `
		let now = 1000;
		const ear = new Ear(() => now);
		ear.close(); // it is asked to listen by hand
		const line = () => ({ at: 0, rtp: 0, source() { return this.at ? { timestamp: this.at, rtpTimestamp: this.rtp } : undefined; } });
		const play = (l, packets) => { for (let i = 0; i < packets; i++) { now += 20; l.at = now; l.rtp = (l.rtp + 160) >>> 0; ear.listen(); } };
		const first = line(), second = line();
		first.rtp = 2 ** 32 - 320; // it wraps around
		ear.to(first);
		play(first, 10);`
	for name, c := range map[string]struct {
		then string
		want float64
	}{
		"nothing":                        {"", 0},
		"an outage":                      {"now += 100; play(first, 5);", 100},
		"one that lasts":                 {"now += 130; ear.listen();", 100},
		"lost packets are no silence":    {"now += 100; first.rtp += 800; play(first, 5);", 0},
		"a swap without a gap":           {"now += 10; second.at = now; second.rtp = 7; ear.to(second); play(second, 5);", 0},
		"a redial":                       {"first.source = () => undefined; now += 60; ear.to(second); play(second, 5);", 60},
		"what is forgotten":              {"now += 100; play(first, 5); ear.anew();", 0},
		"what began before and is heard": {"now += 100; ear.anew(); play(first, 5);", 100},
		"media from before it was heard": {"second.at = 500; second.rtp = 1; now += 80; ear.to(second); now += 20; ear.listen(); play(second, 5);", 100},
	} {
		got := ofCall[float64](t, b, "ear", "Ear", "{"+rig+c.then+"return ear.longest(); }")
		require.InDelta(t, c.want, got, 0.01, name)
	}
}

func TestACallerKnowsWhatItsSessionIsShownAs(t *testing.T) {
	b := newShow(t).plain(t)
	for headers, want := range map[string]string{`{}`: "room-1", `{ "X-Stage-Session": "b5d4" }`: "b5d4"} {
		require.Equal(t, want, ofCall[string](t, b, "edge", "Edge", `{
			const real = window.fetch;
			window.fetch = async () => new Response(null, { status: 204, headers: `+headers+` });
			const edge = new Edge("", "room-1");
			await edge.servers().finally(() => { window.fetch = real; });
			return edge.shown;
		}`))
	}
}

// plain has a new browser show the page, without waiting for anything on it.
func (s *show) plain(t testing.TB) *browser.Browser {
	t.Helper()
	b := browser.Start(t)
	b.Do(t, chromedp.Navigate(s.url))
	return b
}
