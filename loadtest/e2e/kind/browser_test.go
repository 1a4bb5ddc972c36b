package kind_test

import (
	"context"
	"crypto/rand"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/smaran-v2/smaran/loadtest/internal/browser/phone"
	"github.com/smaran-v2/smaran/loadtest/internal/kube"
	"github.com/smaran-v2/smaran/loadtest/internal/manifests"
	"github.com/smaran-v2/smaran/loadtest/internal/stageclient"
	"github.com/smaran-v2/smaran/services/testreal/browser"
)

// The gateway is where deploy/kind/cluster.yaml puts it, and stageURL where that has the stage's page.
const (
	gateway   = "127.0.0.1:30080"
	stageName = "stage.localhost"
	stageURL  = "http://" + stageName + ":30080"
)

// relayed has the page call through one transport of the relay alone, where relayBy says which.
const relayed = `window.relayBy = "";
window.RTCPeerConnection = class extends RTCPeerConnection {
	constructor(config, ...more) {
		for (const s of config.iceServers ?? []) s.urls = [s.urls].flat().filter((u) => u.includes(relayBy));
		config.iceServers = config.iceServers?.filter((s) => s.urls.length > 0);
		super(config, ...more);
	}
};
// route is the candidate pair over which the newest connection goes.
window.route = async () => {
	const open = connected().at(-1);
	const report = await open?.getStats() ?? new Map();
	const transport = [...report.values()].find((s) => s.type === "transport");
	const pair = report.get(transport?.selectedCandidatePairId) ?? {};
	const local = report.get(pair.localCandidateId) ?? {}, remote = report.get(pair.remoteCandidateId) ?? {};
	const heard = [...report.values()].find((s) => s.type === "inbound-rtp") ?? {};
	return { type: local.candidateType ?? "", relayProtocol: local.relayProtocol ?? "", pod: remote.address ?? "",
		roundTripMs: 1000 * (pair.currentRoundTripTime ?? 0), received: heard.packetsReceived ?? 0, lost: heard.packetsLost ?? 0 };
};`

// route is what getStats says of where the call goes.
type route struct {
	Type, RelayProtocol, Pod string
	RoundTripMs              float64
	Received, Lost           int
}

// relayPhone is a phone whose calls go through the relay.
type relayPhone struct{ *phone.Phone }

// secretOf is a Secret as a user makes it.
func secretOf(name, key, value string) *unstructured.Unstructured {
	return &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "v1", "kind": "Secret", "metadata": map[string]any{"name": name, "namespace": kube.Namespace,
			"labels": map[string]any{"app.kubernetes.io/part-of": "smaran"}},
		"stringData": map[string]any{key: value},
	}}
}

// anew has Deployments' pods be new, as kubectl rollout restart does.
func anew(t *testing.T, objects []*unstructured.Unstructured, names ...string) {
	t.Helper()
	for _, o := range objects {
		if o.GetKind() == "Deployment" && slices.Contains(names, o.GetName()) {
			set(t, o, time.Now().Format(time.RFC3339), "spec", "template", "metadata", "annotations", "kubectl.kubernetes.io/restartedAt")
		}
	}
}

// openPage shows the stage's page with the right to use its controls.
func openPage(t *testing.T, token string) relayPhone {
	t.Helper()
	p := relayPhone{phone.Open(t, browser.Start(t), stageURL+"/#token="+token, relayed)}
	p.Patience = time.Minute // pods with sidecars start on the cores that the call has
	return p
}

// call calls through a transport of the relay, and says what was set up.
func (p relayPhone) call(t *testing.T, transport string) (phone.Entry, route) {
	t.Helper()
	_ = browser.Eval[bool](t, p.Browser, fmt.Sprintf("(window.relayBy = %q, true)", "transport="+transport))
	called := p.Call(t, phone.Tone)
	p.Await(t, `route().then((r) => r.received > 50)`, "route().then(JSON.stringify)")
	return called, p.route(t)
}

// stageOf is the stage as a page of its own origin asks it. Its name, which not every resolver knows, is told to the gateway. No connection
// is kept: the gateway may close one meanwhile.
func stageOf(token string) stageclient.Client {
	return stageclient.Client{
		HTTP: &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}, Base: "http://" + gateway, Host: stageName, Token: token,
	}
}

// order gives the stage one, and waits until what it did is over.
func order(t *testing.T, stage stageclient.Client, verb, body string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	group, err := stage.Order(ctx, verb, body)
	require.NoError(t, err)
	_, err = stage.Carried(ctx, group)
	require.NoError(t, err)
}

// conflict is what Chromium logs of a request about a call that is elsewhere, or is another one by now, as one that was late on a busy node may be.
var conflict = regexp.MustCompile(`status of (409|412) `)

// TestABrowserCallsThroughTheRelay: pods' addresses can't be reached from here, so whatever is heard came through the relay. How long things take
// is logged; docs/results/browser.md has it of a machine that was at nothing else.
func TestABrowserCallsThroughTheRelay(t *testing.T) {
	c := connect(t)
	objects, err := manifests.RenderWith(deploy, "handoff", "stage-controls")
	require.NoError(t, err)
	anew(t, objects, kube.Smaran, "stage", "turn") // they read the secrets at their start, and may have been there with others
	token := rand.Text()
	take(t, c, append(objects, secretOf("relay", "secret", rand.Text()), secretOf("stage", "token", token)))
	p := openPage(t, token)
	stage := stageOf(token)
	_, err = stage.Order(t.Context(), "load", `{"calls":0,"rate":1}`) // the node is small
	require.NoError(t, err)
	p.call(t, "udp") // the first is slower
	p.HangUp(t)

	for _, transport := range []string{"tcp", "udp"} {
		for range 5 {
			called, via := p.call(t, transport)
			t.Logf("%s: called in %s ms, %+v", transport, called.Took, via)
			require.Equal(t, "relay", via.Type)
			require.Equal(t, transport, via.RelayProtocol)
			p.HangUp(t)
		}
	}
	p.call(t, "udp")
	before := p.Times(t, "migrated")
	for n := 0; p.Times(t, "migrated") == before; n++ {
		require.Less(t, n, 6, "a session stayed where it was through all of them")
		pods := []int{10, 3}[n%2]
		order(t, stage, "scale", fmt.Sprintf(`{"pods":%d}`, pods))
		t.Logf("%d pods: %+v", pods, p.route(t))
	}
	moved := p.Happened(t, "migrated", before+1)
	t.Log(moved.Text)
	require.NotEqual(t, moved.From, moved.To)
	t.Logf("gap %v ms, redialled %d times, %+v", moved.Ms(t, moved.Gap), p.Times(t, "redialled"), p.route(t))
	t.Log(browser.Eval[string](t, p.Browser, `document.querySelector(".phone-history").innerText`))
	heard := p.route(t).Received
	p.Await(t, fmt.Sprintf(`route().then((r) => r.type === "relay" && r.received > %d)`, heard), "route().then(JSON.stringify)", time.Minute)
	p.Screenshot(t, "kind")
	p.RequireQuiet(t, conflict, browser.BrokenStream)
}

func (p relayPhone) route(t *testing.T) route {
	t.Helper()
	return browser.Eval[route](t, p.Browser, "route()")
}
