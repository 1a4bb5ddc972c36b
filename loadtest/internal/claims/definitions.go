package claims

// What a cluster is needed for.
const (
	needsIstio      = "Istio on Kubernetes"
	needsSidecar    = "a sidecar to go with and without"
	needsKubernetes = "Kubernetes, which ends pods by preStop and grace period"
)

// The scenarios that decide, as arguments of bin/loadtest.
const (
	byDemo     = "demo"
	byOutage   = "compare --scenario redis-outage"
	byNoHeader = "compare --scenario no-header"
	byScaling  = "compare --scenario scale-3-10,scale-3-5,scale-10-3"
	byRollout  = "compare --scenario rollout"
)

// definitions are in the order of their numbers.
var definitions = [Count]Definition{
	{
		Number: 1, Source: "S", Place: PlaceScenario, Needs: byDemo, evaluate: warmAndCold,
		Text:   "A warm request takes about 95-100 ms, a request at another pod 850-900 ms, 500 ms of it reloading",
		Method: "simulated by construction; measured end to end",
	},
	{
		Number: 2, Source: "S", Place: PlaceScenario, Needs: byDemo, evaluate: roundRobinSpreads,
		Text:   "Round robin sends a session's requests over all pods; its call drops or freezes",
		Method: "roundrobin backend with calls",
	},
	{
		Number: 3, Source: "S", Place: PlaceExperiment,
		Text:   "A Redis lookup adds 5-10 ms to a request",
		Method: "lookups uncached and cached, on the same host and with added network delay",
	},
	{
		Number: 4, Source: "S", Place: PlaceExperiment,
		Text:   "At 10,000 requests/s Redis becomes the bottleneck",
		Method: "ramp the lookups against one Redis; its CPU and latency",
	},
	{
		Number: 5, Source: "S", Place: PlaceScenario, Needs: byOutage, evaluate: redisDown,
		Text:   "With Redis down, users are routed at random and calls drop",
		Method: "redis-outage: the plain lookup against the one that degrades to hashing",
	},
	{
		Number: 6, Source: "S", Place: PlaceExperiment,
		Text:   "A TTL that is too short expires sessions in use; one that is too long leaves stale mappings",
		Method: "TTL sweep over idle and busy sessions",
	},
	{
		Number: 7, Source: "S", Place: PlaceScenario, Needs: byDemo, evaluate: redisRebalances,
		Text:   "With Redis all traffic rebalances when scaling 3->10",
		Method: "moved sessions across the scaling, TTL alive",
	},
	{
		Number: 8, Source: "S", Place: PlaceExperiment,
		Text:   "Hashing takes less than 1 ms",
		Method: "time of a hash and pick",
	},
	{
		Number: 9, Source: "S", Place: PlaceExperiment,
		Text:   "The hash is taken modulo the number of pods",
		Method: "modulo as a control against the ring",
	},
	{
		Number: 10, Source: "S", Place: PlaceExperiment,
		Text:   "About 1/N of the sessions move from N to N+1 pods",
		Method: "predicted for 3->4, 9->10 and 10->11",
	},
	{
		Number: 11, Source: "S", Place: PlaceExperiment, evaluate: movedOn3To10,
		Text:   "About 30% of the sessions move on 3->10",
		Method: "predicted and measured across the scaling",
	},
	{
		Number: 12, Source: "K", Place: PlaceExperiment, evaluate: movedOn3To5,
		Text:   "About 40% of the sessions move on 3->5; 60% persist",
		Method: "predicted and measured across the scaling",
	},
	{
		Number: 13, Source: "S", Place: PlaceScenario, Needs: byDemo, evaluate: callsStay,
		Text:   "Existing calls stay on their pods when scaling out under the hash",
		Method: "calls during 3->10: does the media stay, where does the next request go",
	},
	{
		Number: 14, Source: "S", Place: PlaceScenario, Needs: byDemo, evaluate: disconnectRates,
		Text:   "15-20 disconnects an hour with Redis, less than 1 a month with the hash",
		Method: "calls that needed a new connection, by event",
	},
	{
		Number: 15, Source: "S", Place: PlaceMesh, Needs: needsIstio + ": h2UpgradePolicy is a DestinationRule's",
		Text:   "h2UpgradePolicy UPGRADE makes connections reused and latency fall",
		Method: "connections and latency with and without; WebSocket through it",
	},
	{
		Number: 16, Source: "S", Place: PlaceMesh, Needs: needsSidecar,
		Text:   "The sidecar adds 1-2 ms",
		Method: "with and without sidecar, p50 and p99",
	},
	{
		Number: 17, Source: "S", Place: PlaceScenario, Needs: byNoHeader, evaluate: withoutHeader,
		Text:   "Without the header the fallback route spreads requests and affinity is silently lost; rejecting is better",
		Method: "no-header: a lenient fleet, and what a strict one answers",
	},
	{
		Number: 18, Source: "S", Place: PlaceMesh, Needs: needsIstio + ": mTLS is the sidecars'",
		Text:   "STRICT mTLS refuses plain clients, and certificates rotate by themselves",
		Method: "a client without a sidecar; certificate serials over a short rotation",
	},
	{
		Number: 19, Source: "S", Place: PlaceMesh, Needs: needsIstio + ": the part to kill is istiod",
		Text:   "There is no single point of failure with the mesh",
		Method: "kill istiod: picks go on; a new pod gets no traffic until it is back",
	},
	{
		Number: 20, Source: "S", Place: PlaceScenario, Needs: byDemo, evaluate: withoutMocks,
		Text:   "Testing needs no mocks",
		Method: "what this run was made of",
	},
	{
		Number: 21, Source: "S", Place: PlaceExperiment,
		Text:   "It costs $300 a month with Redis against $0 with the mesh",
		Method: "calculator with stated prices; the sidecars' CPU and memory counted too",
	},
	{
		Number: 22, Source: "T", Place: PlaceExperiment,
		Text:   "Replicas 9:1 or weights 90/10 both give a 90/10 split",
		Method: "count picks, with a confidence interval",
	},
	{
		Number: 23, Source: "T", Place: PlaceMesh, Needs: needsIstio + ": weighted routes are a VirtualService's",
		Text:   "Weights do not keep a client on a version; hashing and weights do not combine",
		Method: "the same session over both",
	},
	{
		Number: 24, Source: "T", Place: PlaceExperiment,
		Text:   "Every hop must forward the header",
		Method: "a chain of hops with and without forwarding",
	},
	{
		Number: 25, Source: "T", Place: PlaceMesh, Needs: needsIstio + ": header matches are a VirtualService's",
		Text:   "A dark release works by the header mode=dev",
		Method: "both kinds of client",
	},
	{
		Number: 26, Source: "P, K", Place: PlaceExperiment,
		Text:   "The token is base64 of ip:port, and the client must send it back",
		Method: "decode it; drop it",
	},
	{
		Number: 27, Source: "P, K", Place: PlaceScenario, Needs: byDemo, evaluate: unevenAfterScaling,
		Text:   "With stateful sessions the load stays uneven after scaling out",
		Method: "load by pod",
	},
	{
		Number: 28, Source: "P", Place: PlaceExperiment,
		Text:   "A client can choose its pod by making up a token",
		Method: "forge one for the bare filter, then for the sealed token",
	},
	{
		Number: 29, Source: "K", Place: PlaceScenario, Needs: byScaling, evaluate: statefulLosesNone,
		Text:   "With stateful sessions no session is lost when scaling",
		Method: "3->5, 3->10 and also 10->3",
	},
	{
		Number: 30, Source: "K", Place: PlaceScenario, Needs: byRollout, evaluate: statefulRestart,
		Text:   "Stateful sessions survive a pod's restart",
		Method: "rollout: what becomes of the sessions of a pod that is replaced",
	},
	{
		Number: 31, Source: "K", Place: PlaceExperiment,
		Text:   "LEAST_REQUEST sends new sessions to new pods",
		Method: "share of new sessions by pod after scaling out",
	},
	{
		Number: 32, Source: "K", Place: PlaceExperiment,
		Text:   "minimumRingSize 10240 mends uneven load",
		Method: "peak/mean load at 64, 1024, 10240 and 65536",
	},
	{
		Number: 33, Source: "K", Place: PlaceExperiment,
		Text:   "The load is near balanced 24 h after scaling (20% at 1 h, 50% at 4-8 h)",
		Method: "simulated over distributions of the sessions' length",
	},
	{
		Number: 34, Source: "K", Place: PlaceMesh, Needs: needsIstio + ": the label is read by istiod",
		Text:   "The label istio.io/persistent-session-cookie selects the cookie mode",
		Method: "set it, and the real label istio.io/persistent-session",
	},
	{
		Number: 35, Source: "K", Place: PlaceMesh, Needs: needsKubernetes,
		Text:   "A preStop sleep of 15 s with a grace of 30 s prevents losses at a restart",
		Method: "with and without, calls longer than that",
	},
	{
		Number: 36, Source: "K", Place: PlaceMesh, Needs: needsIstio + ": the metrics are the sidecars'",
		Text:   "A request metric carries the session header as a label",
		Method: "not in stock Istio; a stickiness ratio from our own metrics instead",
	},
	{
		Number: 37, Source: "S", Place: PlaceExperiment,
		Text:   "Hashing by source IP breaks for users behind one VPN address",
		Method: "source-IP hash, many sessions from one address",
	},
	{
		Number: 38, Source: "S", Place: PlaceExperiment,
		Text:   "The hash scales linearly with pods",
		Method: "pick cost and evenness at 3, 10, 30 and 100 pods",
	},
	{
		Number: 39, Source: "S", Place: PlaceScenario, Needs: byDemo, evaluate: noStorm,
		Text:   "Scaling 3->10 brings no request storm",
		Method: "rate of set-ups and cold starts around the event",
	},
}
