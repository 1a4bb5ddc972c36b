package jarvis

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"

	"github.com/google/uuid"
	"github.com/jonboulle/clockwork"

	"github.com/smaran-v2/smaran/services/internal/config"
	"github.com/smaran-v2/smaran/services/internal/healthcheck"
	"github.com/smaran-v2/smaran/services/jarvis/call"
	"github.com/smaran-v2/smaran/services/jarvis/model"
	"github.com/smaran-v2/smaran/services/jarvis/state"
	"github.com/smaran-v2/smaran/services/lifeline"
	"github.com/smaran-v2/smaran/services/telemetry"
	"github.com/smaran-v2/smaran/services/version"
)

// Run is the pod's process: it serves until ctx ends, drains, and returns. Its one argument is health, which
// asks another such process on this host whether it is ready.
func Run(ctx context.Context, args, environ []string, _, stderr io.Writer) error {
	if len(args) > 0 && !healthcheck.Asked(args) {
		return fmt.Errorf("unexpected argument %q: jarvis is configured by %s* variables alone", args[0], EnvPrefix)
	}
	cfg, err := config.Parse[Config](EnvPrefix, environ)
	if err != nil {
		return err
	}
	if healthcheck.Asked(args) {
		return healthcheck.Ready(ctx, cfg.AdminListen)
	}
	// Two ends: ctx asks for a drain, the lifeline leaves no time for one.
	alive, dead := context.WithCancel(context.WithoutCancel(ctx))
	defer dead()
	if alive, err = lifeline.Context(alive, environ); err != nil {
		return err
	}
	if cfg.Pod == "" {
		if cfg.Pod, err = os.Hostname(); err != nil {
			return fmt.Errorf("%sPOD is not set and the host has no name: %w", EnvPrefix, err)
		}
	}
	tele, err := telemetry.Setup(ctx, telemetry.Options{Service: "jarvis", Instance: cfg.Pod,
		Level: cfg.LogLevel, Format: cfg.LogFormat, Out: stderr, Environ: environ})
	if err != nil {
		return err
	}
	defer tele.Shutdown(ctx)

	sockets, err := listen(ctx, cfg)
	if err != nil {
		return err
	}
	defer sockets.close()
	identity, err := identify(cfg, sockets.public.Addr())
	if err != nil {
		return err
	}
	hands, err := follow(ctx, cfg, identity, tele)
	if err != nil {
		return err
	}
	defer hands.close()
	pod, err := build(cfg, identity, sockets.media, hands, tele)
	if err != nil {
		return err
	}
	if hands != nil && hands.archive != nil {
		hands.archive.Snapshot = pod.Snapshot
		pod.OnAnswer(hands.archive.Touch)
	}
	tele.Log.Info("starting", "version", version.String(), "address", identity.Address, "incarnation", identity.Incarnation,
		"admin", sockets.admin.Addr().String(), "media", sockets.media.LocalAddr().String())
	return pod.serve(ctx, alive, cfg, sockets, hands, tele)
}

// identify gives the process a new incarnation, and the address that is configured or else listened on.
func identify(cfg Config, listening net.Addr) (Identity, error) {
	identity := Identity{Name: cfg.Pod, Address: cfg.Address, Incarnation: uuid.NewString()}
	if identity.Address != "" {
		return identity, nil
	}
	address, err := netip.ParseAddrPort(listening.String())
	if err != nil {
		return Identity{}, fmt.Errorf("address %q: %w", listening, err)
	}
	if address.Addr().IsUnspecified() {
		if cfg.RedisAddr != "" {
			return Identity{}, fmt.Errorf("%sADDRESS is needed with %sREDIS_ADDR, since %sLISTEN=%q names no IP: expected such as 10.0.0.1:8080",
				EnvPrefix, EnvPrefix, EnvPrefix, cfg.Listen)
		}
		// Nobody routes by it then; it only stands in replies.
		address = netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), address.Port())
	}
	identity.Address = address.String()
	return identity, nil
}

func build(cfg Config, identity Identity, media net.PacketConn, hands *following, tele *telemetry.Telemetry) (*Pod, error) {
	clock := clockwork.NewRealClock()
	seed := cfg.Seed
	if seed == 0 {
		seed = rand.Uint64()
	}
	tele.Log.Info("simulating", "seed", seed)
	return New(Options{
		Identity: identity, WeightsMB: cfg.WeightsMB, Model: model.New(cfg.timings(), seed),
		Sessions: state.Options{Max: cfg.MaxSessions, Idle: cfg.SessionIdle, Results: cfg.ResultsPerSession},
		MaxCalls: cfg.MaxCalls,
		NewCalls: func(hooks Hooks) (Calls, error) {
			return call.New(call.Config{
				Media: media, AdvertiseIPs: cfg.MediaAdvertise, ICELite: cfg.iceLite(),
				MaxCalls: cfg.MaxCalls, Heartbeat: cfg.Heartbeat,
				Clock: clock, Log: tele.Log, Respond: hooks.Respond, OnMedia: hooks.OnMedia, OnEnd: hooks.OnEnd,
			})
		},
		NewHandoff: hands.newHandoff(),
		Mode:       cfg.SessionMode, Clock: clock,
		Log: tele.Log, Registry: tele.Registry, Tracer: tele.Tracer, Propagator: tele.Propagator,
	})
}
