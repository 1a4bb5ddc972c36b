package compose

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"time"

	"google.golang.org/protobuf/encoding/protojson"

	jarvisv1 "github.com/smaran-v2/smaran/proto/jarvis/v1"
	smaranv1 "github.com/smaran-v2/smaran/proto/smaran/v1"
	"github.com/smaran-v2/smaran/services/wire"
)

const (
	// readyTime bounds each wait for something to be ready, or gone.
	readyTime = time.Minute
	// askEvery is how often smaran is asked while something is awaited of it.
	askEvery = 50 * time.Millisecond
	// askTimeout bounds one answer: pods that do not answer smaran cost it two seconds.
	askTimeout = 3 * time.Second
	// maxAnswer bounds an answer of smaran, in bytes.
	maxAnswer = 16 << 20
)

// ask gets a URL.
func ask(ctx context.Context, client *http.Client, url string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	res, err := client.Do(req)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	raw, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer))
	if err == nil && res.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s", url, res.Status)
	}
	return raw, err
}

// until asks again and again. It fails with ErrSlow after readyTime, and where the fleet is over.
func (f *fleet) until(ctx context.Context, what, service string, holds func(context.Context) bool) error {
	ctx, cancel := context.WithTimeoutCause(ctx, readyTime, fmt.Errorf("%w: waited %v until %s; its last words: %s logs --tail 20 %s",
		ErrSlow, readyTime, what, f.docker.hint(), service))
	defer cancel()
	ticker := f.clock.NewTicker(askEvery)
	defer ticker.Stop()
	for !holds(ctx) {
		select {
		case <-ticker.Chan():
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-f.over:
			return f.overError()
		}
	}
	return nil
}

// smaranReady waits until smaran's admin port says that it is ready.
func (f *fleet) smaranReady(ctx context.Context) error {
	return f.until(ctx, "smaran was ready", smaranService, func(ctx context.Context) bool {
		_, err := ask(ctx, f.client, "http://"+f.layout.smaranAdmin+wire.PathReady)
		return err == nil
	})
}

// podReady waits until smaran has the pod, and the pod answers smaran that it is ready.
func (f *fleet) podReady(ctx context.Context, p pod) error {
	return f.until(ctx, p.name+" was ready", p.name, func(ctx context.Context) bool {
		raw, err := ask(ctx, f.client, "http://"+f.layout.smaran+wire.PathFleet)
		if err != nil {
			return false
		}
		res := &smaranv1.GetFleetResponse{}
		if err := (protojson.UnmarshalOptions{DiscardUnknown: true}).Unmarshal(raw, res); err != nil {
			return false
		}
		for _, s := range res.GetPods() {
			if s.GetPod() == p.name {
				return s.GetState() == jarvisv1.PodState_POD_STATE_READY
			}
		}
		return false
	})
}
