package core

import (
	"context"
	"maps"
	"sync"
	"time"

	"connectrpc.com/connect"

	jarvisv1 "github.com/smaran-v2/smaran/proto/jarvis/v1"
	smaranv1 "github.com/smaran-v2/smaran/proto/smaran/v1"
)

const (
	// statusTimeout bounds the wait for one pod: it answers from memory.
	statusTimeout = 2 * time.Second
	// statusAtOnce pods are asked at a time.
	statusAtOnce = 32
)

// Fleet asks every endpoint for its status. One for which another pod answers is unreachable. Both lists are in the order of the endpoints.
func (s *Service) Fleet(ctx context.Context, m *smaranv1.GetFleetRequest) (*smaranv1.GetFleetResponse, error) {
	set := s.options.Endpoints.Current()
	statuses := make([]*jarvisv1.StatusResponse, len(set.Endpoints))
	slots := make(chan struct{}, statusAtOnce)
	var wg sync.WaitGroup
	for i, e := range set.Endpoints {
		wg.Go(func() {
			slots <- struct{}{}
			defer func() { <-slots }()
			ctx, cancel := context.WithTimeout(ctx, statusTimeout)
			defer cancel()
			target := s.options.Peers.To(e.Address)
			req := connect.NewRequest(&jarvisv1.StatusRequest{IncludeSessions: m.GetIncludeSessions()})
			maps.Copy(req.Header(), target.Header)
			res, err := s.upstreams.client(target.BaseURL).Status(ctx, req)
			switch {
			case err != nil:
			case astray(e.Pod, res.Msg.GetPod()):
				s.metrics.misaddressed(s.options.Backend)
			default:
				statuses[i] = res.Msg
			}
		})
	}
	wg.Wait()
	if err := ctx.Err(); err != nil {
		return nil, notRouted(err)
	}
	out := &smaranv1.GetFleetResponse{Backend: string(s.options.Backend)}
	for i, status := range statuses {
		if status == nil {
			out.Unreachable = append(out.Unreachable, set.Endpoints[i].Address)
			continue
		}
		out.Pods = append(out.Pods, status)
	}
	return out, nil
}
