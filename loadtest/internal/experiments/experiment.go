package experiments

import (
	"context"
	"errors"
	"hash/fnv"
	"math/rand/v2"
	"strconv"

	"github.com/smaran-v2/smaran/loadtest/internal/claims"
	"github.com/smaran-v2/smaran/loadtest/internal/cost"
	"github.com/smaran-v2/smaran/loadtest/internal/experiments/istio"
	reportv1 "github.com/smaran-v2/smaran/proto/report/v1"
)

// ErrMissing is wrapped by an experiment that lacks a program it needs. The text says which, and how to get it.
var ErrMissing = errors.New("not on this machine")

// Env is what experiments are given.
type Env struct {
	// Seed makes every draw: the same seed gives the same sessions, addresses and lengths.
	Seed uint64
	// Prices are the inputs of claim 21.
	Prices cost.Assumptions
	// Scratch is a folder for files that do not outlive an experiment.
	Scratch string
	// RedisServer is the path of a redis-server, or empty for REDIS_SERVER_BIN or the one on PATH.
	RedisServer string

	// mesh is where the cluster's experiments are conducted.
	mesh istio.Env
}

// rand is a source of its own for each claim, so that leaving one out does not change another.
func (e Env) rand(claim uint32) *rand.Rand {
	h := fnv.New64a()
	_, _ = h.Write([]byte(strconv.FormatUint(uint64(claim), 10))) // never fails
	return rand.New(rand.NewPCG(e.Seed, h.Sum64()))
}

// experiment puts one claim to the test.
type experiment struct {
	claim uint32
	run   func(context.Context, Env) (claims.Finding, error)
}

// all are in the order of their claims.
func all() []experiment {
	return []experiment{
		{3, lookupTime},
		{4, ramp},
		{6, ttlSweep},
		{8, pickTime},
		{9, moduloControl},
		{10, oneMorePod},
		{11, scaleTo(11, 3, 10, 0.30)},
		{12, scaleTo(12, 3, 5, 0.40)},
		{costClaim, monthlyCost},
		{22, splits},
		{24, headerChain},
		{26, tokenNames},
		{28, forgery},
		{31, leastRequest},
		{32, ringSizes},
		{33, dayAfter},
		{37, sourceIP},
		{38, manyPods},
	}
}

// Claims are the numbers of the claims that experiments exist for.
func Claims() []uint32 {
	var out []uint32
	for _, e := range all() {
		out = append(out, e.claim)
	}
	return out
}

// conduct runs one experiment. What it lacks becomes its finding; any other failure is an error.
func (e experiment) conduct(ctx context.Context, env Env) (*reportv1.Claim, error) {
	d, _ := claims.Lookup(e.claim)
	f, err := e.run(ctx, env)
	if errors.Is(err, ErrMissing) || errors.Is(err, istio.ErrMissing) {
		f, err = claims.Finding{Verdict: reportv1.Verdict_VERDICT_NOT_MEASURABLE_HERE, Note: err.Error()}, nil
	}
	if err != nil {
		return nil, err
	}
	return d.Claim(f), nil
}
