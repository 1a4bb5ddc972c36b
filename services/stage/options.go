package stage

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"

	stagev1 "github.com/smaran-v2/smaran/proto/stage/v1"
	"github.com/smaran-v2/smaran/services/stage/director"
	"github.com/smaran-v2/smaran/services/stage/recording"
	"github.com/smaran-v2/smaran/services/stage/scene"
	"github.com/smaran-v2/smaran/services/stage/venue"
	"github.com/smaran-v2/smaran/services/stage/web"
)

// ErrOptions is returned for options that can't work; the error says which.
var ErrOptions = errors.New("invalid stage options")

// Options of the page's handler.
type Options struct {
	// Scene is what the stream shows. Required.
	Scene *scene.Scene
	// Doer carries out orders. Nil: nothing can be steered here, as while a recording is played.
	Doer director.Doer
	// Player plays a recording. Nil: none is played. It and a Doer exclude each other.
	Player *recording.Player
	// Lanes whose smaran is reached below /smaran/{lane}/.
	Lanes []venue.Lane
	// Page has index.html and the files that it loads. Nil: web.Files.
	Page fs.FS
	// Token is asked of every order, and with one readers are shown no session's id. Empty: the stage is for this machine alone, and answers only requests that
	// name a loopback host, unless nothing can be changed.
	Token string
	// Log may be nil.
	Log *slog.Logger
}

func (o *Options) complete() error {
	if o.Scene == nil {
		return fmt.Errorf("%w: no scene", ErrOptions)
	}
	if o.Doer != nil && o.Player != nil {
		return fmt.Errorf("%w: a recording that is played can't be steered as a fleet", ErrOptions)
	}
	if o.Page == nil {
		o.Page = web.Files
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return nil
}

// steerable is whether a request can change anything but a call of its own.
func (o *Options) steerable() bool { return o.Doer != nil || o.Player != nil }

// show is what readers see of a frame. Where the stage is for more than this machine, they see no ids of sessions.
func (o *Options) show() func(*stagev1.Frame) *stagev1.Frame {
	if o.aliases() {
		return aliased
	}
	return func(f *stagev1.Frame) *stagev1.Frame { return f }
}

func (o *Options) aliases() bool { return o.Token != "" }
