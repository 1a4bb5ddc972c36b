package istio

import "context"

// deploy makes Deployments of probes, and waits until they are there.
func (n *namespace) deploy(ctx context.Context, all ...probes) error {
	var names []string
	for _, p := range all {
		o, err := p.object(n.Image)
		if err != nil {
			return err
		}
		if err := n.apply(ctx, o); err != nil {
			return err
		}
		names = append(names, p.name)
	}
	return n.rolledOut(ctx, names...)
}

// tell applies objects of the project's overlay with features: those with these kinds and names, such as "Service jarvis-service".
func (n *namespace) tell(ctx context.Context, overlay string, features []string, ids ...string) error {
	objects, err := story(n.Deploy, n.name, overlay, features...)
	if err != nil {
		return err
	}
	chosen, err := pick(objects, ids...)
	if err != nil {
		return err
	}
	return n.apply(ctx, chosen...)
}
