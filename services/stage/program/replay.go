package program

import (
	"context"
	"errors"
	"fmt"
	"syscall"
	"time"

	"github.com/jonboulle/clockwork"

	"github.com/smaran-v2/smaran/services/internal/browse"
	"github.com/smaran-v2/smaran/services/internal/httpserver"
	"github.com/smaran-v2/smaran/services/lifeline"
	"github.com/smaran-v2/smaran/services/stage"
	"github.com/smaran-v2/smaran/services/stage/recording"
	"github.com/smaran-v2/smaran/services/stage/scene"
	"github.com/smaran-v2/smaran/services/telemetry"
)

const (
	// DefaultListen is where a page of this machine is.
	DefaultListen = "127.0.0.1:7080"
	// replayGrace is how long requests in flight may take at the end of a replay.
	replayGrace = time.Second
)

type replayCmd struct {
	File   string  `arg:"" help:"The recording; compressed if its name ends in .gz."`
	Speed  float64 `default:"1" help:"1 is as it happened, 0 is paused (${default}). The page can change it."`
	Loop   bool    `help:"Begin anew after the end."`
	Listen string  `default:"${listen}" placeholder:"HOST:PORT" help:"Where the page is (${default})."`
	Token  string  `help:"What the page has to show before it may pause; required where --listen is not loopback."`
	Open   bool    `help:"Open the page in a browser (BROWSER, or the system's)."`
}

// Run plays until ctx ends.
func (c *replayCmd) Run(ctx context.Context, i *invocation) error {
	ctx, err := lifeline.Context(ctx, i.environ)
	if err != nil {
		return err
	}
	r, err := recording.Open(c.File)
	if err != nil {
		return err
	}
	log, err := telemetry.Logger(telemetry.Options{Service: "stage", Level: "info", Format: "text", Out: i.stderr})
	if err != nil {
		return err
	}
	clock := clockwork.NewRealClock()
	shown := scene.New(clock)
	player, err := recording.NewPlayer(recording.Options{Recording: r, Scene: shown, Clock: clock, Speed: c.Speed, Loop: c.Loop})
	if err != nil {
		return fmt.Errorf("%w: %w", ErrUsage, err)
	}
	listener, err := httpserver.Listen(ctx, c.Listen)
	if err != nil {
		if errors.Is(err, syscall.EADDRINUSE) {
			return fmt.Errorf("%w: choose another address with --listen", err)
		}
		return err
	}
	url := stage.URL(listener.Addr(), c.Token)
	if _, err := fmt.Fprint(i.stdout, announce(c.File, r, url)); err != nil {
		return errors.Join(err, listener.Close())
	}
	if c.Open {
		if err := browse.Open(i.environ, url); err != nil {
			log.Warn(err.Error() + ": open " + url + " yourself")
		}
	}
	return stage.Serve(ctx, stage.Server{
		Options:  stage.Options{Scene: shown, Player: player, Token: c.Token, Log: log},
		Listener: listener, Grace: replayGrace,
	})
}

func announce(file string, r *recording.Recording, url string) string {
	h := r.Header
	text := fmt.Sprintf("%s: %s of %s\n  recorded %s on %s\n", file, (r.Length() - r.Start()).Round(100*time.Millisecond), h.Command,
		h.Recorded.UTC().Format(time.DateTime+" MST"), h.Machine)
	if r.Notice != "" {
		text += "  " + r.Notice + "\n"
	}
	return text + "the page: " + url + "\n"
}
