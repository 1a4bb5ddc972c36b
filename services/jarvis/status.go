package jarvis

import (
	"context"
	"fmt"

	"connectrpc.com/connect"
	"connectrpc.com/grpchealth"

	jarvisv1 "github.com/smaran-v2/smaran/proto/jarvis/v1"
	"github.com/smaran-v2/smaran/proto/jarvis/v1/jarvisv1connect"
)

// Status describes the pod, and where asked each session it keeps, by id.
func (p *Pod) Status(withSessions bool) *jarvisv1.StatusResponse {
	status := &jarvisv1.StatusResponse{
		Pod: p.identity.Name, Address: p.identity.Address, Incarnation: p.identity.Incarnation, State: p.State(),
		Sessions: uint32(p.sessions.Len()), MaxSessions: uint32(p.sessions.Max()),
		Calls: uint32(p.calls.Count()), MaxCalls: uint32(p.maxCalls),
		WeightsMb: uint32(p.weightsMB), Drain: p.drainLeft(),
	}
	if !withSessions {
		return status
	}
	for _, kept := range p.sessions.List() {
		status.SessionList = append(status.SessionList, &jarvisv1.SessionStatus{
			Session: kept.ID.String(), Turn: kept.At.Turn, Checksum: kept.At.Text(), Epoch: kept.Epoch,
			CallHeld: p.calls.Holds(kept.ID), Owner: kept.Owner,
		})
	}
	return status
}

// Check is gRPC's health protocol: the same as Ready, for the process ("") and for jarvis.v1.
func (p *Pod) Check(_ context.Context, req *grpchealth.CheckRequest) (*grpchealth.CheckResponse, error) {
	if req.Service != "" && req.Service != jarvisv1connect.JarvisServiceName {
		return nil, connect.NewError(connect.CodeNotFound,
			fmt.Errorf("unknown service %q: expected %q or none", req.Service, jarvisv1connect.JarvisServiceName))
	}
	if p.Ready() != nil {
		return &grpchealth.CheckResponse{Status: grpchealth.StatusNotServing}, nil
	}
	return &grpchealth.CheckResponse{Status: grpchealth.StatusServing}, nil
}
