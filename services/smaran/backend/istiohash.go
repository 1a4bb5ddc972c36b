package backend

import (
	"context"

	"github.com/smaran-v2/smaran/services/affinity"
)

// istioHash leaves the choice to the mesh, which hashes the session header onto its ring or Maglev table: no lookup, no state.
//
// A redial can't go that way, since the mesh may name the dead pod until its endpoints change. It is addressed instead, and
// in such a way that the mesh agrees afterwards: if the mesh already names another pod (the endpoints changed, which is
// why the call was lost), to that one; else to the pod that the mesh will name once the lost one is out.
type istioHash struct {
	mesh string
	pods podSource
	directly
}

func newIstioHash(d Deps) (Backend, error) {
	if d.MeshURL == "" {
		return nil, errNoMesh
	}
	algorithm, _ := d.MeshPolicy.Algorithm() // New lets no other in
	build := func(hosts []affinity.Host) (affinity.Picker, error) {
		return affinity.New(algorithm, hosts, d.MeshOptions)
	}
	if _, err := build(nil); err != nil {
		return nil, err
	}
	return &istioHash{mesh: d.MeshURL, pods: podSource{endpoints: d.Endpoints, build: build}, directly: directly{d.Peers}}, nil
}

func (b *istioHash) Route(ctx context.Context, r Request) (Target, error) {
	if err := ctx.Err(); err != nil {
		return Target{}, err
	}
	if r.LostPod == "" || r.Session == "" {
		return Target{BaseURL: b.mesh}, nil
	}
	pods, err := b.pods.get()
	if err != nil {
		return Target{}, err
	}
	hash := affinity.HashValue(string(r.Session))
	if named := pods.rotation[pods.picker.Pick(hash, 0)]; named.Pod != r.LostPod {
		return b.to(named), nil
	}
	others := pods.others(r.LostPod)
	picker, err := b.pods.build(hosts(others))
	if err != nil {
		return Target{}, err
	}
	return b.to(others[picker.Pick(hash, 0)]), nil
}

func (*istioHash) Learn(context.Context, Request, Target, Outcome) Lesson { return Lesson{} }
