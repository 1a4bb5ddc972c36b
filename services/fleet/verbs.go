package fleet

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strings"
	"syscall"
	"time"

	"connectrpc.com/connect"

	fleetv1 "github.com/smaran-v2/smaran/proto/fleet/v1"
	"github.com/smaran-v2/smaran/proto/fleet/v1/fleetv1connect"
)

// ErrNoFleet is a control address at which no fleet answers.
var ErrNoFleet = errors.New("no fleet runs there")

// target is the fleet that a verb is for.
type target struct {
	Control string `help:"Control address of the fleet (FLEET_CONTROL)." default:"${control}" placeholder:"ADDR"`
}

func (t target) client() fleetv1connect.FleetServiceClient {
	transport := &http.Transport{DisableKeepAlives: true}
	return fleetv1connect.NewFleetServiceClient(&http.Client{Transport: transport}, "http://"+t.Control)
}

// explain turns what a user can do nothing with into what to do next.
func (t target) explain(err error) error {
	if err == nil {
		return nil
	}
	if errors.Is(err, syscall.ECONNREFUSED) {
		return fmt.Errorf("%w: nothing answers at %s; start one with: %s up --pods 3 --backend istio-hash (or name another with --control or %s)",
			ErrNoFleet, t.Control, os.Args[0], ControlVariable)
	}
	var failed *connect.Error
	if errors.As(err, &failed) && connect.IsWireError(err) {
		return errors.New(failed.Message())
	}
	return err
}

type scaleCmd struct {
	target
	Pods uint32 `arg:"" help:"How many pods there shall be."`
}

func (c *scaleCmd) Run(ctx context.Context, s *invocation) error {
	res, err := c.client().Scale(ctx, connect.NewRequest(&fleetv1.ScaleRequest{Pods: c.Pods}))
	if err != nil {
		return c.explain(err)
	}
	return s.say("%s", describe(res.Msg.GetEndpoints()))
}

type killCmd struct {
	target
	Pod string `arg:"" optional:"" help:"Name; without one the fleet's seed picks."`
}

func (c *killCmd) Run(ctx context.Context, s *invocation) error {
	res, err := c.client().Kill(ctx, connect.NewRequest(&fleetv1.KillRequest{Pod: c.Pod}))
	if err != nil {
		return c.explain(err)
	}
	return s.say("killed %s, which is back; %s", res.Msg.GetPod(), describe(res.Msg.GetEndpoints()))
}

type stopCmd struct {
	target
	Pod string `arg:"" optional:"" help:"Name; without one the fleet's seed picks."`
}

func (c *stopCmd) Run(ctx context.Context, s *invocation) error {
	res, err := c.client().Stop(ctx, connect.NewRequest(&fleetv1.StopRequest{Pod: c.Pod}))
	if err != nil {
		return c.explain(err)
	}
	return s.say("stopped %s; %s", res.Msg.GetPod(), describe(res.Msg.GetEndpoints()))
}

type freezeCmd struct {
	target
	Pod string `arg:"" optional:"" help:"Name; without one the fleet's seed picks."`
}

func (c *freezeCmd) Run(ctx context.Context, s *invocation) error {
	res, err := c.client().Freeze(ctx, connect.NewRequest(&fleetv1.FreezeRequest{Pod: c.Pod}))
	if err != nil {
		return c.explain(err)
	}
	return s.say("%s is frozen; fleet thaw lets it go on", res.Msg.GetPod())
}

type thawCmd struct {
	target
	Pod string `arg:"" optional:"" help:"Name; without one every frozen pod."`
}

func (c *thawCmd) Run(ctx context.Context, s *invocation) error {
	res, err := c.client().Thaw(ctx, connect.NewRequest(&fleetv1.ThawRequest{Pod: c.Pod}))
	if err != nil {
		return c.explain(err)
	}
	if len(res.Msg.GetPods()) == 0 {
		return s.say("no pod was frozen")
	}
	return s.say("going on: %s", strings.Join(res.Msg.GetPods(), ", "))
}

type rolloutCmd struct{ target }

func (c *rolloutCmd) Run(ctx context.Context, s *invocation) error {
	res, err := c.client().Rollout(ctx, connect.NewRequest(&fleetv1.RolloutRequest{}))
	if err != nil {
		return c.explain(err)
	}
	return s.say("every pod is new; %s", describe(res.Msg.GetEndpoints()))
}

type redisCmd struct {
	target
	State string `arg:"" enum:"down,up" help:"down or up."`
}

func (c *redisCmd) Run(ctx context.Context, s *invocation) error {
	if _, err := c.client().SetRedis(ctx, connect.NewRequest(&fleetv1.SetRedisRequest{Up: c.State == "up"})); err != nil {
		return c.explain(err)
	}
	return s.say("redis is %s", c.State)
}

type smaranCmd struct {
	target
	Action string `arg:"" enum:"kill" help:"kill."`
}

func (c *smaranCmd) Run(ctx context.Context, s *invocation) error {
	if _, err := c.client().KillSmaran(ctx, connect.NewRequest(&fleetv1.KillSmaranRequest{})); err != nil {
		return c.explain(err)
	}
	return s.say("killed smaran, which is back")
}

type downCmd struct{ target }

// Run returns once the control address is free again, too.
func (c *downCmd) Run(ctx context.Context, s *invocation) error {
	if _, err := c.client().Down(ctx, connect.NewRequest(&fleetv1.DownRequest{})); err != nil {
		return c.explain(err)
	}
	ctx, cancel := context.WithTimeout(ctx, controlGrace+time.Second)
	defer cancel()
	// The fleet holds its control port until its last answer is sent.
	if err := poll(ctx, func(ctx context.Context) error { return free(ctx, "tcp", c.Control) }); err != nil {
		return fmt.Errorf("the fleet is down, but %s is still in use: %w", c.Control, err)
	}
	return s.say("the fleet is down")
}

func (s *invocation) say(format string, args ...any) error {
	_, err := fmt.Fprintf(s.stdout, format+"\n", args...)
	return err
}

func describe(e *fleetv1.Endpoints) string {
	names := make([]string, len(e.GetEndpoints()))
	for i, p := range e.GetEndpoints() {
		names[i] = p.GetPod()
	}
	if len(names) == 0 {
		names = []string{"no pods"}
	}
	return fmt.Sprintf("endpoints version %d: %s", e.GetVersion(), strings.Join(names, " "))
}
