package fleet

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"

	"connectrpc.com/connect"
	"github.com/jedib0t/go-pretty/v6/table"
	"golang.org/x/sync/errgroup"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	fleetv1 "github.com/smaran-v2/smaran/proto/fleet/v1"
	jarvisv1 "github.com/smaran-v2/smaran/proto/jarvis/v1"
	"github.com/smaran-v2/smaran/proto/jarvis/v1/jarvisv1connect"
	"github.com/smaran-v2/smaran/services/session"
	"github.com/smaran-v2/smaran/services/wire"
)

const (
	// askTimeout is how long ps waits for a pod; a frozen one does not answer.
	askTimeout = 500 * time.Millisecond
	// notices shown by ps.
	shownNotices = 5
)

type psCmd struct {
	target
	JSON bool `help:"Print one line of JSON, a fleet.v1 StatusResponse."`
}

func (c *psCmd) Run(ctx context.Context, s *invocation) error {
	res, err := c.client().Status(ctx, connect.NewRequest(&fleetv1.StatusRequest{}))
	if err != nil {
		return c.explain(err)
	}
	if c.JSON {
		return writeJSON(s.stdout, res.Msg)
	}
	return show(s.stdout, res.Msg, askPods(ctx, res.Msg.GetPods()))
}

// writeJSON prints one line. protojson alone puts spaces at random.
func writeJSON(w io.Writer, m proto.Message) error {
	b, err := protojson.MarshalOptions{EmitDefaultValues: true}.Marshal(m)
	if err != nil {
		return err
	}
	var line bytes.Buffer
	if err := json.Compact(&line, b); err != nil {
		return err
	}
	line.WriteByte('\n')
	_, err = line.WriteTo(w)
	return err
}

// askPods asks every pod for its load, at the same time; nil where one does not answer.
func askPods(ctx context.Context, pods []*fleetv1.Pod) []*jarvisv1.StatusResponse {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	out := make([]*jarvisv1.StatusResponse, len(pods))
	var group errgroup.Group
	for i, p := range pods {
		group.Go(func() error {
			res, err := jarvisv1connect.NewJarvisServiceClient(client, "http://"+p.GetAddress()).
				Status(ctx, connect.NewRequest(&jarvisv1.StatusRequest{}))
			if err == nil {
				out[i] = res.Msg
			}
			return nil
		})
	}
	_ = group.Wait() // never fails
	return out
}

func show(w io.Writer, s *fleetv1.StatusResponse, load []*jarvisv1.StatusResponse) error {
	health := map[string]string{}
	current := latest(s)
	for _, e := range current.GetEndpoints() {
		health[e.GetPod()] = e.GetHealth()
	}
	pods := newTable("POD", "PHASE", "ENDPOINT", "PID", "ADDRESS", "RESTARTS", "SESSIONS", "CALLS", "DRAIN", "UP")
	for i, p := range s.GetPods() {
		sessions, calls := "-", "-"
		if l := load[i]; l != nil {
			sessions, calls = strconv.Itoa(int(l.GetSessions())), strconv.Itoa(int(l.GetCalls()))
		}
		pods.AppendRow(table.Row{p.GetName(), phaseName(p.GetPhase()), dash(health[p.GetName()]), pid(p.GetPid()), p.GetAddress(),
			p.GetRestarts(), sessions, calls, drainText(load[i].GetDrain()), uptime(p)})
	}
	rest := newTable("PROCESS", "KIND", "STATE", "PID", "ADDRESS", "ADMIN", "VERSION")
	for _, p := range s.GetProcesses() {
		state := "running"
		if !p.GetRunning() {
			state = "down"
		}
		rest.AppendRow(table.Row{p.GetName(), p.GetKind(), state, pid(p.GetPid()), p.GetAddress(), dash(p.GetAdmin()), p.GetVersion()})
	}
	var b strings.Builder
	meshWords := s.GetPolicy()
	if size := s.GetRingSize(); size > 0 {
		meshWords += fmt.Sprintf(" (ring size %d)", size)
	}
	fmt.Fprintf(&b, "backend %s, mesh %s, sessions %s, endpoints version %d\n\n",
		s.GetBackend(), meshWords, s.GetSessionMode(), current.GetVersion())
	b.WriteString(pods.Render() + "\n\n" + rest.Render() + "\n")
	notices := s.GetNotices()
	for i, n := range notices[max(0, len(notices)-shownNotices):] {
		if i == 0 {
			b.WriteByte('\n')
		}
		fmt.Fprintf(&b, "%s  %s\n", n.GetTime().AsTime().Local().Format(time.TimeOnly), n.GetText())
		for _, line := range n.GetLogLines() {
			fmt.Fprintf(&b, "            %s\n", line)
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func newTable(header ...any) table.Writer {
	t := table.NewWriter()
	t.SetStyle(table.StyleLight)
	t.Style().Options = table.OptionsNoBordersAndSeparators
	t.AppendHeader(table.Row(header))
	return t
}

func latest(s *fleetv1.StatusResponse) *fleetv1.Endpoints {
	history := s.GetHistory()
	if len(history) == 0 {
		return nil
	}
	return history[len(history)-1]
}

func phaseName(p fleetv1.PodPhase) string {
	return strings.ToLower(strings.TrimPrefix(p.String(), "POD_PHASE_"))
}

func pid(n int64) string {
	if n == 0 {
		return "-"
	}
	return strconv.FormatInt(n, 10)
}

// drainText is what a pod that drains has left to do; "-" for one that does not.
func drainText(d *jarvisv1.Drain) string {
	if d == nil {
		return "-"
	}
	return fmt.Sprintf("%d left, %s", d.GetSessions(), d.GetRemaining().AsDuration().Round(100*time.Millisecond))
}

// uptime is how long the pod's process has run; "-" for one that was never started.
func uptime(p *fleetv1.Pod) string {
	if p.GetStarted() == nil {
		return "-"
	}
	return time.Since(p.GetStarted().AsTime()).Round(time.Second).String()
}

func dash(text string) string {
	if text == "" {
		return "-"
	}
	return text
}

// banner says what runs and what to do with it.
func banner(w io.Writer, lanes []*fleetv1.StatusResponse) error {
	var b strings.Builder
	for _, lane := range lanes {
		describeLane(&b, lane)
		if len(lanes) > 1 {
			fmt.Fprintf(&b, "  steered by %s ps%s, and so on\n", os.Args[0], controlFlag(lane))
		}
	}
	first := lanes[0]
	fmt.Fprintf(&b, "\nask it, twice with one session: cold, then warm\n")
	fmt.Fprintf(&b, "  curl -H '%s: demo-1' %s%s\n", strings.ToLower(session.Header), first.GetSmaranUrl(), wire.PathInference)
	fmt.Fprintf(&b, "  curl %s%s\n", first.GetSmaranUrl(), wire.PathFleet)
	fmt.Fprintf(&b, "\nfrom another shell\n")
	for _, verb := range []string{"ps", "scale 5", "kill", "rollout", "redis down", "smaran kill", "down"} {
		fmt.Fprintf(&b, "  %s %s%s\n", os.Args[0], verb, controlFlag(first))
	}
	b.WriteString("\nCtrl-C ends it all\n")
	_, err := io.WriteString(w, b.String())
	return err
}

func describeLane(b *strings.Builder, s *fleetv1.StatusResponse) {
	kinds := map[string]string{}
	for _, p := range s.GetProcesses() {
		kinds[p.GetName()] = p.GetKind()
	}
	fmt.Fprintf(b, "\n%d pods behind smaran: backend %s, mesh %s (%s), redis %s\n\n",
		len(s.GetPods()), s.GetBackend(), s.GetPolicy(), kinds[meshName], kinds[redisName])
	fmt.Fprintf(b, "  %-9s %s\n  %-9s %s\n", smaranName, s.GetSmaranUrl(), meshName, s.GetMeshUrl())
	for _, p := range s.GetPods() {
		fmt.Fprintf(b, "  %-9s http://%s\n", p.GetName(), p.GetAddress())
	}
}

// controlFlag is what a verb needs to reach the fleet.
func controlFlag(s *fleetv1.StatusResponse) string {
	for _, p := range s.GetProcesses() {
		if p.GetName() == wire.FleetProcess && p.GetAddress() != DefaultControl {
			return " --control " + p.GetAddress()
		}
	}
	return ""
}
