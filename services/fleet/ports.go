package fleet

import (
	"context"
	"errors"
	"fmt"
	"net"
	"syscall"

	"github.com/smaran-v2/smaran/services/internal/httpserver"
	"github.com/smaran-v2/smaran/services/smaran/backend"
)

// ports are what this process itself listens at. They are open before anything starts, so that one that is taken ends it there.
type ports struct {
	// controls are the lanes' control APIs.
	controls []net.Listener
	// page and crowds are nil without a stage.
	page, crowds net.Listener
}

func (c *upCmd) listen(ctx context.Context) (_ *ports, err error) {
	p := &ports{}
	defer func() {
		if err != nil {
			err = errors.Join(err, p.close())
		}
	}()
	first, err := httpserver.Listen(ctx, c.Control)
	if err != nil {
		if errors.Is(err, syscall.EADDRINUSE) {
			return nil, fmt.Errorf("%w: another fleet may run: see it with fleet ps, end it with fleet down, or choose another address with --control", err)
		}
		return nil, err
	}
	p.controls = append(p.controls, first)
	if c.Beside != "" {
		second, err := httpserver.Listen(ctx, loopback+":0")
		if err != nil {
			return nil, err
		}
		p.controls = append(p.controls, second)
	}
	if c.Stage == "" {
		return p, nil
	}
	if p.page, err = httpserver.Listen(ctx, c.Stage); err != nil {
		return nil, fmt.Errorf("the page: %w; choose another address with --stage", err)
	}
	p.crowds, err = httpserver.Listen(ctx, loopback+":0")
	return p, err
}

// house is what the lanes are told of it.
func (p *ports) house(beside backend.Name) HouseConfig {
	hc := HouseConfig{Beside: beside}
	if beside != "" {
		hc.BesideControl = p.controls[1].Addr().String()
	}
	if p.page != nil {
		hc.Stage, hc.Crowds = p.page.Addr().String(), baseURL(p.crowds.Addr().String())
	}
	return hc
}

func (p *ports) close() error {
	var failed error
	for _, l := range append(p.controls, p.page, p.crowds) {
		if l != nil {
			failed = errors.Join(failed, l.Close())
		}
	}
	return failed
}
