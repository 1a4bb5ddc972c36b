package fleet

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"
)

// probe says whether a process serves: nil, or why not.
type probe func(ctx context.Context) error

const (
	// How often a process that starts is asked whether it is ready.
	probeInterval = 15 * time.Millisecond
	// How long one answer may take.
	probeTimeout = time.Second
)

// poll asks until the answer is yes, or ctx ends. It waits for a real process, so it goes by real time.
func poll(ctx context.Context, p probe) error {
	tick := time.NewTicker(probeInterval)
	defer tick.Stop()
	for {
		err := ask(ctx, p)
		if err == nil {
			return nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return errors.Join(ctx.Err(), err)
		}
	}
}

func ask(ctx context.Context, p probe) error {
	ctx, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	return p(ctx)
}

// answers200 is a probe of an admin port.
func answers200(client *http.Client, url string) probe {
	return func(ctx context.Context) error {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
		if err != nil {
			return err
		}
		res, err := client.Do(req)
		if err != nil {
			return err
		}
		defer res.Body.Close()
		_, _ = io.Copy(io.Discard, io.LimitReader(res.Body, 4<<10))
		if res.StatusCode != http.StatusOK {
			return fmt.Errorf("%s answered %s", url, res.Status)
		}
		return nil
	}
}

// answersPing is a probe of Redis, by its inline command: a client library would dial, and log, more than once.
func answersPing(address string) probe {
	return func(ctx context.Context) error {
		conn, err := new(net.Dialer).DialContext(ctx, "tcp", address)
		if err != nil {
			return err
		}
		defer conn.Close()
		if deadline, ok := ctx.Deadline(); ok {
			if err := conn.SetDeadline(deadline); err != nil {
				return err
			}
		}
		if _, err := io.WriteString(conn, "PING\r\n"); err != nil {
			return err
		}
		const want = "+PONG\r\n"
		got := make([]byte, len(want))
		if _, err := io.ReadFull(conn, got); err != nil {
			return err
		}
		if string(got) != want {
			return fmt.Errorf("redis at %s answered PING by %q", address, got)
		}
		return nil
	}
}
