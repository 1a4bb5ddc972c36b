package recording

import (
	"context"
	"errors"
	"fmt"
	"math"
	"sync"
	"time"

	"github.com/jonboulle/clockwork"

	stagev1 "github.com/smaran-v2/smaran/proto/stage/v1"
	"github.com/smaran-v2/smaran/services/stage/scene"
)

// ErrSteering: a recording can't be played so. The error says what was expected.
var ErrSteering = errors.New("can't be played so")

// MaxSpeed is the fastest that a recording is played.
const MaxSpeed = 100

// Options of a player.
type Options struct {
	Recording *Recording
	// Scene is filled by the player alone.
	Scene *scene.Scene
	Clock clockwork.Clock
	// Speed that it begins with: 1 is as it happened, 0 is paused.
	Speed float64
	// Loop begins anew after the end.
	Loop bool
}

// Player plays one recording. It is safe for concurrent use.
type Player struct {
	options Options

	mu    sync.Mutex
	speed float64
	// position is where it was at since.
	position time.Duration
	since    time.Time
	next     int // of frames: the first that was not shown yet
}

// NewPlayer shows the first frame at once; the recording goes on while Run runs. It fails with ErrSteering.
func NewPlayer(o Options) (*Player, error) {
	if err := checkSpeed(o.Speed); err != nil {
		return nil, err
	}
	p := &Player{options: o, speed: o.Speed, position: o.Recording.Start(), since: o.Clock.Now()}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.show(true)
	return p, nil
}

func checkSpeed(speed float64) error {
	if math.IsNaN(speed) || speed < 0 || speed > MaxSpeed {
		return fmt.Errorf("%w: speed %g, expected 0 to %d", ErrSteering, speed, MaxSpeed)
	}
	return nil
}

// Run plays until ctx ends, at the end of the recording too: it may be steered back. It returns why.
func (p *Player) Run(ctx context.Context) error {
	ticker := p.options.Clock.NewTicker(scene.Pace)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.Chan():
			p.advance()
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// Steering is what is to change; nil: stays.
type Steering struct {
	// Speed 1 is as it happened, 0 is paused.
	Speed *float64
	// AtMs is where to go on, as Frame.at_ms has it. Before the first frame it is the first, after the last one the last.
	AtMs *float64
}

// Steer changes how the recording is played. It fails with ErrSteering.
func (p *Player) Steer(s Steering) error {
	if s.Speed == nil && s.AtMs == nil {
		return fmt.Errorf("%w: expected a speed, a time, or both", ErrSteering)
	}
	if s.Speed != nil {
		if err := checkSpeed(*s.Speed); err != nil {
			return err
		}
	}
	if s.AtMs != nil && (!(*s.AtMs >= 0) || math.IsInf(*s.AtMs, 1)) {
		return fmt.Errorf("%w: at %g ms, expected 0 or more", ErrSteering, *s.AtMs)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.move()
	if s.Speed != nil {
		p.speed = *s.Speed
	}
	anew := false
	if s.AtMs != nil {
		r := p.options.Recording
		to := time.Duration(min(*s.AtMs, scene.Millis(r.Length())) * float64(time.Millisecond)) // a later time may be no Duration
		p.position = min(max(to, r.Start()), r.Length())
		anew = true
	}
	p.show(anew)
	return nil
}

func (p *Player) advance() {
	p.mu.Lock()
	defer p.mu.Unlock()
	ended := p.move()
	if ended && p.options.Loop && p.speed > 0 {
		p.position = p.options.Recording.Start()
		p.show(true)
		return
	}
	p.show(false)
}

// move goes on to where the recording is now, and says whether it had been at its end before.
func (p *Player) move() (ended bool) {
	now, length := p.options.Clock.Now(), p.options.Recording.Length()
	ended = p.position == length
	passed := min(float64(now.Sub(p.since))*p.speed, float64(length)) // a machine that slept for years
	p.position = min(p.position+time.Duration(passed), length)
	p.since = now
	return ended
}

// show puts all frames up to where the recording is into the scene, as one change: those that were not yet, or anew all of them.
func (p *Player) show(anew bool) {
	r := p.options.Recording
	p.options.Scene.Change(func(c *scene.Change) {
		if anew {
			c.Clear()
			p.next = 0
		}
		for ; p.next < len(r.frames) && at(r.frames[p.next]) <= p.position; p.next++ {
			c.Play(r.frames[p.next])
		}
		c.Recording(&stagev1.Recording{
			Recorded: r.Header.Recorded.UTC().Format(time.RFC3339), Machine: r.Header.Machine, Command: r.Header.Command,
			Speed: p.speed, AtMs: scene.Millis(p.position), LengthMs: scene.Millis(r.Length()),
		})
	})
}
