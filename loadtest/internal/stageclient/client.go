package stageclient

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"google.golang.org/protobuf/encoding/protojson"

	stagev1 "github.com/smaran-v2/smaran/proto/stage/v1"
	"github.com/smaran-v2/smaran/services/wire"
)

// Errors of a stage.
var (
	// ErrStage is returned where the stage can't be asked, or says what is not understood.
	ErrStage = errors.New("the stage")
	// ErrUndone is returned for an order that a lane could not carry out.
	ErrUndone = errors.New("an order is not carried out")
)

// look is how often Await looks.
const look = 100 * time.Millisecond

// Client of a stage.
type Client struct {
	HTTP *http.Client
	// Base URL of the page, without a slash at its end, such as http://127.0.0.1:7080.
	Base string
	// Host, optional, is the name that requests go to where it is not the Base URL's.
	Host string
	// Token, optional, is what the stage was started with.
	Token string
}

// State is all that the stage shows. It fails with ErrStage.
func (c Client) State(ctx context.Context) (*stagev1.Frame, error) {
	body, err := c.ask(ctx, http.MethodGet, "state", "", http.StatusOK)
	if err != nil {
		return nil, err
	}
	f := &stagev1.Frame{}
	if err := protojson.Unmarshal(body, f); err != nil {
		return nil, fmt.Errorf("%w: read its state: %w\n%s", ErrStage, err, body)
	}
	return f, nil
}

// Await looks at the stage until it is as is says, and gives what it shows then. It fails as is does, and when ctx ends, with what the last
// look found wrong. A look that fails is none: what is between may refuse one while a machine is busy.
func (c Client) Await(ctx context.Context, is func(*stagev1.Frame) (bool, error)) (*stagev1.Frame, error) {
	again := time.NewTicker(look)
	defer again.Stop()
	for {
		f, failed := c.State(ctx)
		if failed == nil {
			if so, err := is(f); so || err != nil {
				return f, err
			}
		}
		select {
		case <-ctx.Done():
			return nil, errors.Join(fmt.Errorf("%w does not come to it: %w", ErrStage, ctx.Err()), failed)
		case <-again.C:
		}
	}
}

// Order gives one, as JSON, and returns the group of its events once it has begun. It fails with ErrStage.
func (c Client) Order(ctx context.Context, verb, order string) (group uint32, err error) {
	body, err := c.ask(ctx, http.MethodPost, verb, order, http.StatusAccepted)
	if err != nil {
		return 0, err
	}
	var began struct{ Group uint32 }
	if err := json.Unmarshal(body, &began); err != nil || began.Group == 0 {
		return 0, fmt.Errorf("%w: no group of an order: %s", ErrStage, body)
	}
	return began.Group, nil
}

// Carried waits until every lane that an order was for has carried it out, and gives its events. It fails with ErrUndone, and as Await does.
func (c Client) Carried(ctx context.Context, group uint32) ([]*stagev1.Event, error) {
	var events []*stagev1.Event
	_, err := c.Await(ctx, func(f *stagev1.Frame) (bool, error) {
		events = nil
		finished := 0
		for _, e := range f.GetEvents() {
			if e.GetGroup() != group {
				continue
			}
			if e.GetError() != "" {
				return false, fmt.Errorf("%w: %s: %s", ErrUndone, e.GetName(), e.GetError())
			}
			events = append(events, e)
			if e.FinishedMs != nil {
				finished++
			}
		}
		return finished > 0 && finished == len(events), nil // all of a group are there at once
	})
	if err != nil {
		return nil, err
	}
	return events, nil
}

// ask is one request of the API, and what is answered.
func (c Client) ask(ctx context.Context, method, path, body string, want int) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, method, c.Base+"/api/v1/"+path, strings.NewReader(body))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrStage, err)
	}
	req.Host = c.Host
	if body != "" {
		req.Header.Set("Content-Type", wire.ContentTypeJSON)
	}
	if c.Token != "" {
		req.Header.Set("Authorization", "Bearer "+c.Token)
	}
	res, err := c.HTTP.Do(req)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrStage, err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		return nil, fmt.Errorf("%w: %s: %w", ErrStage, path, err)
	}
	if res.StatusCode != want {
		return nil, fmt.Errorf("%w: %s: %s: %s", ErrStage, path, res.Status, strings.TrimSpace(string(text)))
	}
	return text, nil
}
