package jarvis

import (
	"log/slog"
	"time"

	"github.com/jonboulle/clockwork"
	"github.com/redis/go-redis/v9"

	jarvisv1 "github.com/smaran-v2/smaran/proto/jarvis/v1"
	"github.com/smaran-v2/smaran/services/registry"
	"github.com/smaran-v2/smaran/services/session"
)

// NewLease returns the pod's lease in the register of owners, to be run for as long as the pod serves. Nothing at the pod
// depends on it. What it writes down again after an outage lives for sessionTTL. The client stays the caller's to close.
func NewLease(p *Pod, client *redis.Client, sessionTTL time.Duration, clock clockwork.Clock, log *slog.Logger) (*registry.Lease, error) {
	cfg := registry.LeaseConfig{
		Client: client,
		Pod:    p.identity.Name, Address: p.identity.Address, Incarnation: p.identity.Incarnation,
		Status: p.leaseStatus,
		Owned:  p.owned,
		Superseded: func(id session.ID, owner registry.Owner) {
			p.Supersede(id, owner.Pod, owner.Epoch)
		},
		SessionTTL: sessionTTL,
		Clock:      clock,
		Log:        log,
	}
	if p.handoff != nil { // such pods have titles from one another, by another rule than the register's
		cfg.Owned = func() []registry.Ownership { return nil }
		cfg.Superseded = func(session.ID, registry.Owner) {}
	}
	return registry.NewLease(cfg)
}

func (p *Pod) leaseStatus() registry.Status {
	return registry.Status{
		State:    leaseState(p.State()),
		Sessions: p.sessions.Len(), MaxSessions: p.sessions.Max(),
		Calls: p.calls.Count(), MaxCalls: p.maxCalls,
	}
}

func leaseState(s jarvisv1.PodState) registry.State {
	switch s {
	case jarvisv1.PodState_POD_STATE_READY:
		return registry.StateReady
	case jarvisv1.PodState_POD_STATE_DRAINING:
		return registry.StateDraining
	}
	return registry.StateStarting
}

// owned are the sessions that came with an epoch and that no other pod is known to own.
func (p *Pod) owned() []registry.Ownership {
	var owned []registry.Ownership
	for _, kept := range p.sessions.List() {
		if kept.Epoch > 0 && kept.Owner == "" {
			owned = append(owned, registry.Ownership{Session: kept.ID, Epoch: kept.Epoch})
		}
	}
	return owned
}
