package istio

import (
	"context"
	"fmt"
	"net"
	"slices"
	"strconv"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/smaran-v2/smaran/loadtest/internal/claims"
	"github.com/smaran-v2/smaran/loadtest/internal/kube"
	"github.com/smaran-v2/smaran/loadtest/internal/probe"
	reportv1 "github.com/smaran-v2/smaran/proto/report/v1"
	"github.com/smaran-v2/smaran/services/affinity"
	"github.com/smaran-v2/smaran/services/wire"
)

// Load of claims 26 and 28, at the overlay's three pods. A pod that sees a session for the first time takes most of a second.
const (
	tokenPods        = 3
	tokenRequests    = 60
	tokenConcurrency = 6
)

// affinityKept is the share from which a token keeps a session. byChance is what one of three pods gets of 60 requests with a chance of less
// than one in 20,000 (a third, and four and a half standard errors of 6 points).
const (
	affinityKept = 0.99
	byChance     = 0.60
)

// fleet is the whole of an overlay with features in the namespace, with a probe that jarvis-callers lets through.
func (n *namespace) fleet(ctx context.Context, overlay string, features ...string) error {
	objects, err := story(n.Deploy, n.name, overlay, append(slices.Clone(features), debugAccount)...)
	if err != nil {
		return err
	}
	objects = without(objects, debugAccount)
	if err := n.apply(ctx, objects...); err != nil {
		return err
	}
	if err := n.deploy(ctx, probes{name: inside, account: debugAccount}); err != nil {
		return err
	}
	var names []string
	pods := 0
	for _, o := range objects {
		if o.GetKind() != "Deployment" {
			continue
		}
		names = append(names, o.GetName())
		if app, _, _ := unstructured.NestedString(o.Object, "spec", "template", "metadata", "labels", appLabel); app == jarvis {
			replicas, _, _ := unstructured.NestedInt64(o.Object, "spec", "replicas")
			pods += int(replicas)
		}
	}
	if err := n.rolledOut(ctx, names...); err != nil {
		return err
	}
	return n.knows(ctx, inside, kube.JarvisService, pods)
}

// addresses of jarvis' pods, by name.
func (n *namespace) addresses() map[string]string {
	out := map[string]string{}
	for _, p := range n.view.Now().PodsOf(jarvis) {
		if p.Status.PodIP != "" {
			out[p.Name] = net.JoinHostPort(p.Status.PodIP, strconv.Itoa(probe.Port))
		}
	}
	return out
}

// tokenNames is claim 26.
func tokenNames(ctx context.Context, n *namespace) (claims.Finding, error) {
	if err := n.fleet(ctx, "stateful-header"); err != nil {
		return claims.Finding{}, err
	}
	b := probe.Batch{URL: url(kube.JarvisService, wire.PathInference), Sessions: sessions("token", 1), Requests: 1, Keep: []string{wire.HeaderStateful}}
	first, err := n.ask(ctx, inside, b)
	if err != nil {
		return claims.Finding{}, err
	}
	if len(first) != 1 || !first[0].OK() {
		return claims.Finding{}, fmt.Errorf("%w: %s did not answer: %+v", ErrProbe, kube.JarvisService, first)
	}
	given := first[0].Header[wire.HeaderStateful]
	address, decodes := affinity.DecodeHeader(given)
	b.Requests, b.Concurrency = tokenRequests, tokenConcurrency
	without, err := n.ask(ctx, inside, b)
	if err != nil {
		return claims.Finding{}, err
	}
	b.Header = map[string]string{wire.HeaderStateful: given}
	with, err := n.ask(ctx, inside, b)
	if err != nil {
		return claims.Finding{}, err
	}
	pod := first[0].Pod
	return judgeToken(decodes && address == n.addresses()[pod], shareAt(pod, with), shareAt(pod, without)), nil
}

// shareAt is the share of the requests that a pod answered.
func shareAt(pod string, answers []probe.Answer) float64 {
	if len(answers) == 0 {
		return 0
	}
	there := 0
	for _, a := range answers {
		if a.OK() && a.Pod == pod {
			there++
		}
	}
	return float64(there) / float64(len(answers))
}

func judgeToken(names bool, kept, dropped float64) claims.Finding {
	f := claims.Finding{
		Measured: fmt.Sprintf("Istio's token decodes to the address of its pod: %t; %s of %d requests stay with it, %s without (chance: %s)",
			names, percent(kept), tokenRequests, percent(dropped), percent(1.0/tokenPods)),
		Figures: map[string]float64{"names_pod": number(names), "kept_with_token": kept, "kept_without_token": dropped},
	}
	switch {
	case names && kept >= affinityKept && dropped <= byChance:
		f.Verdict = reportv1.Verdict_VERDICT_REPRODUCED
		f.Note = "of the header mode; the cookie's is base64 of a message that holds ip:port"
	case names && kept > dropped:
		f.Verdict, f.Note = reportv1.Verdict_VERDICT_DEPENDS, "on what else keeps a session"
	default:
		f.Verdict = reportv1.Verdict_VERDICT_NOT_REPRODUCED
	}
	return f
}

// forgery is claim 28: a token that a client makes up, for each pod, at jarvis-service and at smaran.
func forgery(ctx context.Context, n *namespace) (claims.Finding, error) {
	if err := n.fleet(ctx, "stateful-header"); err != nil {
		return claims.Finding{}, err
	}
	if err := n.answers(ctx, inside, kube.Smaran); err != nil {
		return claims.Finding{}, err
	}
	shares := map[string]float64{}
	for _, service := range []string{kube.JarvisService, kube.Smaran} {
		for pod, address := range n.addresses() {
			answers, err := n.ask(ctx, inside, probe.Batch{
				URL: url(service, wire.PathInference), Sessions: sessions("forged-"+service+"-"+pod, tokenRequests/tokenPods),
				Header:   map[string]string{wire.HeaderStateful: affinity.EncodeHeader(address)},
				Requests: tokenRequests / tokenPods, Concurrency: tokenConcurrency,
			})
			if err != nil {
				return claims.Finding{}, err
			}
			for _, a := range answers {
				if !a.OK() {
					return claims.Finding{}, fmt.Errorf("%w: %s: %s", ErrProbe, service, reason(a))
				}
			}
			shares[service] += shareAt(pod, answers) / tokenPods
		}
	}
	return judgeForgery(shares[kube.JarvisService], shares[kube.Smaran]), nil
}

func judgeForgery(raw, sealed float64) claims.Finding {
	f := claims.Finding{
		Measured: fmt.Sprintf("a made-up token reached the pod it names in %s of %d requests at jarvis-service, in %s at smaran, which takes sealed ones only (chance: %s)",
			percent(raw), tokenRequests, percent(sealed), percent(1.0/tokenPods)),
		Figures: map[string]float64{"bare": raw, "sealed": sealed},
	}
	switch {
	case raw < affinityKept:
		f.Verdict = reportv1.Verdict_VERDICT_NOT_REPRODUCED
	case sealed > byChance:
		f.Verdict, f.Note = reportv1.Verdict_VERDICT_REPRODUCED, "sealing did not help"
	default:
		f.Verdict = reportv1.Verdict_VERDICT_REPRODUCED
		f.Note = "of Istio as it is; smaran's sealed token takes the choice away"
	}
	return f
}
