package jarvis_test

import (
	"testing"

	"connectrpc.com/connect"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/require"

	jarvisv1 "github.com/smaran-v2/smaran/proto/jarvis/v1"
	"github.com/smaran-v2/smaran/services/jarvis/call"
	"github.com/smaran-v2/smaran/services/session"
	"github.com/smaran-v2/smaran/services/wire"
)

// called is a team of two whose session is on a call at the first pod, though the ring gives it to the second.
func called(t *testing.T) (c *team, id session.ID, from, to *mate) {
	t.Helper()
	c = newTeam(t, 2)
	from, to = c.pods[0], c.pods[1]
	c.lists(set(from))
	id = c.moving(set(from), set(from, to), from, to)
	from.offer(t, id)
	from.infer(t, id, &jarvisv1.InferRequest{})
	c.lists(set(from, to))
	return c, id, from, to
}

// servedOf is who served; it fails as the request did.
func servedOf[T any, P interface {
	*T
	GetServed() *jarvisv1.Served
}](res *connect.Response[T], err error) (*jarvisv1.Served, error) {
	if err != nil {
		return nil, err
	}
	return P(res.Msg).GetServed(), nil
}

func TestEveryAnswerThatWasPassedOnSaysThroughWhom(t *testing.T) {
	asks := map[string]func(t *testing.T, b *bench, id session.ID) (*jarvisv1.Served, error){
		"infer": func(t *testing.T, b *bench, id session.ID) (*jarvisv1.Served, error) {
			res, err := b.rpc.Infer(as(t, id), connect.NewRequest(&jarvisv1.InferRequest{}))
			return servedOf(res, err)
		},
		"candidate": func(t *testing.T, b *bench, id session.ID) (*jarvisv1.Served, error) {
			res, err := b.rpc.Trickle(as(t, id), connect.NewRequest(&jarvisv1.TrickleRequest{SdpFragment: "a=candidate"}))
			return servedOf(res, err)
		},
		"control message": func(t *testing.T, b *bench, id session.ID) (*jarvisv1.Served, error) {
			res, err := b.rpc.Control(as(t, id), connect.NewRequest(&jarvisv1.ControlRequest{
				Message: &jarvisv1.ControlRequest_Mute{Mute: &jarvisv1.Mute{Muted: true}}}))
			return servedOf(res, err)
		},
		"hangup": func(t *testing.T, b *bench, id session.ID) (*jarvisv1.Served, error) {
			res, err := b.rpc.Hangup(as(t, id), connect.NewRequest(&jarvisv1.HangupRequest{}))
			return servedOf(res, err)
		},
	}
	for name, ask := range asks {
		t.Run(name, func(t *testing.T) {
			_, id, from, to := called(t)
			if name != "hangup" {
				served, err := ask(t, from.bench, id)
				require.NoError(t, err)
				require.Empty(t, served.GetThrough(), "control: asked where it is")
			}
			require.Zero(t, from.forwards(t)+to.forwards(t))
			served, err := ask(t, to.bench, id)
			require.NoError(t, err)
			require.Equal(t, to.name, served.GetThrough())
			require.Equal(t, from.name, served.GetPod())
			require.InDelta(t, 1, to.forwards(t), 0, "who passed it on counts it")
			require.Zero(t, from.forwards(t))
		})
	}
}

func TestAPlainAnswerThatWasPassedOnSaysThroughWhom(t *testing.T) {
	_, id, from, to := called(t)
	for _, m := range []*mate{from, to} {
		reply := m.plain(t, "GET", wire.PathInference, "", session.Header, string(id))
		require.Equal(t, 200, reply.StatusCode, reply.body)
		require.Equal(t, from.name, reply.Header.Get(wire.HeaderPod), "who served")
		require.Equal(t, "incarnation of "+from.name, reply.Header.Get(wire.HeaderIncarnation))
		through := ""
		if m == to {
			through = to.name
		}
		require.Equal(t, through, reply.Header.Get(wire.HeaderForwarded))
	}
}

// TestARefusalThatWasPassedOnIsTheFirstPodsOwn: it says what the owner said, and names the pod that was asked.
func TestARefusalThatWasPassedOnIsTheFirstPodsOwn(t *testing.T) {
	_, id, from, to := called(t)
	from.calls.trickle = call.ErrFull
	_, err := to.rpc.Trickle(as(t, id), connect.NewRequest(&jarvisv1.TrickleRequest{SdpFragment: "a=candidate"}))
	requireCode(t, connect.CodeResourceExhausted, wire.CodePodFull, err)
	var refused *connect.Error
	require.ErrorAs(t, err, &refused)
	require.Equal(t, []string{"1"}, refused.Meta().Values(wire.HeaderRetryAfter))
	require.Equal(t, []string{to.name}, refused.Meta().Values(wire.HeaderPod))
	require.Zero(t, to.forwards(t), "it was not served")
}

// Dashboards and reports ask for these very names.
func TestHandoffMetricNamesAreAContract(t *testing.T) {
	c := newTeam(t, 1)
	families, err := c.pods[0].registry.Gather()
	require.NoError(t, err)
	got := map[string][]string{}
	for _, family := range families {
		if name := family.GetName(); name == "jarvis_handoffs_total" || name == "jarvis_forwards_total" {
			got[name] = []string{}
			for _, series := range family.GetMetric() {
				require.Zero(t, series.GetCounter().GetValue())
				for _, label := range series.GetLabel() {
					got[name] = append(got[name], label.GetName()+"="+label.GetValue())
				}
			}
		}
	}
	require.Equal(t, map[string][]string{
		"jarvis_forwards_total": {},
		"jarvis_handoffs_total": {"result=claimed", "result=failed", "result=given", "result=minted", "result=pulled", "result=received", "result=restored", "result=sent"},
	}, got)
	problems, err := testutil.GatherAndLint(c.pods[0].registry)
	require.NoError(t, err)
	require.Empty(t, problems)
}

func TestBothSidesCountAHandoff(t *testing.T) {
	results := []string{"claimed", "failed", "given", "minted", "pulled", "received", "restored", "sent"}
	counts := func(m *mate) map[string]float64 {
		out := map[string]float64{}
		for _, result := range results {
			if n := m.count(t, result); n > 0 {
				out[result] = n
			}
		}
		return out
	}
	c, id, from, to := grown(t)
	last := from.infer(t, id, &jarvisv1.InferRequest{})
	next := set(c.pods...)
	c.refuse(to.address, true)
	_, sent := c.prepare(next, from)
	require.Zero(t, sent)
	require.Equal(t, map[string]float64{"failed": 1}, counts(from))
	require.Empty(t, counts(to))

	c.refuse(to.address, false)
	c.prepare(next, from)
	require.Equal(t, map[string]float64{"failed": 1, "sent": 1}, counts(from))
	require.Equal(t, map[string]float64{"received": 1}, counts(to))

	c.lists(next)
	to.infer(t, id, after(last))
	require.Equal(t, map[string]float64{"failed": 1, "sent": 1, "given": 1}, counts(from))
	require.Equal(t, map[string]float64{"received": 1, "claimed": 1}, counts(to))
}
