package crowd

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"sync"
	"time"

	"connectrpc.com/connect"

	"github.com/smaran-v2/smaran/loadtest/internal/client"
	"github.com/smaran-v2/smaran/loadtest/internal/keepalive"
	stagev1 "github.com/smaran-v2/smaran/proto/stage/v1"
	"github.com/smaran-v2/smaran/proto/stage/v1/stagev1connect"
)

// tellEvery is how often the stage is told what was seen meanwhile.
const tellEvery = 100 * time.Millisecond

// attend keeps the crowd attached to the stage until ctx ends: one that is away is dialled again, and the callers go on meanwhile. It
// fails with ErrReplaced.
func (c *Crowd) attend(ctx context.Context, p *present) error {
	protocols := new(http.Protocols)
	protocols.SetUnencryptedHTTP2(true)
	protocols.SetHTTP2(true)
	transport := &http.Transport{Protocols: protocols, HTTP2: keepalive.Config(), DialContext: c.DialStage}
	defer transport.CloseIdleConnections()
	stage := stagev1connect.NewCrowdServiceClient(&http.Client{Transport: transport}, c.Stage)
	random := rand.New(rand.NewPCG(rand.Uint64(), 0)) // of this process: two crowds need not dial at once
	for attempt := 1; ; attempt++ {
		obeyed, err := c.attach(ctx, stage, p)
		if ctx.Err() != nil {
			return nil
		}
		if connect.CodeOf(err) == connect.CodeAborted {
			return fmt.Errorf("lane %s: %w", c.Lane, ErrReplaced)
		}
		if obeyed {
			attempt = 1
		}
		if attempt == 1 {
			c.Log.Warn("no stage; it is dialled until it is there", "stage", c.Stage, "error", err)
		} else {
			c.Log.Debug("no stage", "attempt", attempt, "error", err)
		}
		timer := c.Clock.NewTimer(client.Backoff(random, attempt))
		select {
		case <-ctx.Done():
			timer.Stop()
			return nil
		case <-timer.Chan():
		}
	}
}

type attachStream = connect.BidiStreamForClient[stagev1.AttachRequest, stagev1.AttachResponse]

// attach obeys the stage for as long as the stream lasts, and says whether there was anything to obey.
func (c *Crowd) attach(ctx context.Context, stage stagev1connect.CrowdServiceClient, p *present) (obeyed bool, err error) {
	ctx, hangUp := context.WithCancel(ctx)
	defer hangUp()
	stream := stage.Attach(ctx)
	defer stream.CloseResponse() //nolint:errcheck // nothing is left to be said over it
	hello := &stagev1.CrowdHello{Lane: c.Lane, Version: c.Version}
	if err := stream.Send(&stagev1.AttachRequest{Message: &stagev1.AttachRequest_Hello{Hello: hello}}); err != nil && !errors.Is(err, io.EOF) {
		return false, fmt.Errorf("say hello: %w", err)
	}
	ready := make(chan struct{})
	var telling sync.WaitGroup
	telling.Go(func() { c.tell(ctx, ready, stream, p) }) // the only one that sends from here on; ends with ctx or the stream
	defer telling.Wait()
	defer hangUp()
	for {
		res, err := stream.Receive() // why a Send failed is said here
		if err != nil {
			return obeyed, err
		}
		order := res.GetOrder()
		if err := p.obey(order); err != nil {
			c.Log.Warn("an order is left undone", "order", order, "error", err)
			continue
		}
		c.Log.Debug("order", "calls", order.GetCalls(), "rate", order.GetRate(), "headerless", order.GetHeaderless(), "take", order.GetTake())
		if !obeyed {
			obeyed = true
			close(ready)
			c.Log.Info("attached", "stage", c.Stage, "lane", c.Lane)
		}
	}
}

// tell sends what was seen, once there are callers, until ctx or the stream ends.
func (c *Crowd) tell(ctx context.Context, ready <-chan struct{}, stream *attachStream, p *present) {
	defer stream.CloseRequest() //nolint:errcheck // a transport that waits for more to send does not look at ctx
	select {
	case <-ctx.Done():
		return
	case <-ready:
	}
	ticker := c.Clock.NewTicker(tellEvery)
	defer ticker.Stop()
	var reading *book
	defer func() {
		if n := reading.close(); n > 0 {
			c.Log.Debug("the stream ended before all was told", "details", n)
		}
	}()
	for {
		if b := p.book(); b != reading {
			reading = b
			if missed := b.open(); missed > 0 {
				c.Log.Info("what was seen without a stage is not told", "details", missed)
			}
		}
		if seen := reading.read(); seen != nil {
			if stream.Send(&stagev1.AttachRequest{Message: &stagev1.AttachRequest_Observations{Observations: seen}}) != nil {
				return
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-ticker.Chan():
		}
	}
}
