package istio

import (
	"context"
	"fmt"
	"strings"

	"github.com/smaran-v2/smaran/loadtest/internal/claims"
	"github.com/smaran-v2/smaran/loadtest/internal/probe"
	reportv1 "github.com/smaran-v2/smaran/proto/report/v1"
)

// Claim 34: the label that the claim names, Istio's own, and neither, on Services over the same pods.
const (
	claimedLabel = "istio.io/persistent-session-cookie"
	realLabel    = "istio.io/persistent-session"
	cookieName   = "probe"

	labelPods     = 3
	labelSessions = 10
	labelRequests = 100
	setCookie     = "Set-Cookie"
)

// labelled is what a label did.
type labelled struct {
	// cookies is how many sessions were given one, and kept how many stayed at one pod while they sent it back.
	cookies, kept int
	// asked is how many requests were made, and failed how many of them were not answered well; why says how.
	asked, failed int
	why           string
}

// labels is claim 34.
func labels(ctx context.Context, n *namespace) (claims.Finding, error) {
	if err := n.deploy(ctx, probes{name: inside}, probes{name: jarvis, replicas: labelPods}); err != nil {
		return claims.Finding{}, err
	}
	const claimed, istios, none = "claimed-label", "real-label", "no-label"
	for name, labels := range map[string]map[string]string{claimed: {claimedLabel: cookieName}, istios: {realLabel: cookieName}, none: nil} {
		s, err := service(name, jarvis, labels)
		if err != nil {
			return claims.Finding{}, err
		}
		if err := n.apply(ctx, s); err != nil {
			return claims.Finding{}, err
		}
	}
	for _, name := range []string{claimed, none, istios} {
		if err := n.knows(ctx, inside, name, labelPods); err != nil {
			return claims.Finding{}, err
		}
	}
	// Istio's own label is applied no earlier than the others; once it is seen to work, so would they. Where it never does, it is
	// switched off, which the judge says.
	waited := n.until(ctx, realLabel+" to take effect", func(ctx context.Context) (bool, error) {
		l, err := n.labelled(ctx, istios)
		return l.cookies > 0, err
	})
	if ctx.Err() != nil {
		return claims.Finding{}, waited
	}
	var found [3]labelled
	for i, name := range []string{claimed, istios, none} {
		var err error
		if found[i], err = n.labelled(ctx, name); err != nil {
			return claims.Finding{}, err
		}
	}
	return judgeLabels(found[0], found[1], found[2]), nil
}

func (n *namespace) labelled(ctx context.Context, service string) (labelled, error) {
	answers, err := n.ask(ctx, inside, probe.Batch{
		URL: url(service, "/"), Sessions: sessions("label", labelSessions), Requests: labelRequests, Cookies: true, Keep: []string{setCookie},
	})
	if err != nil {
		return labelled{}, err
	}
	return labelledIn(answers), nil
}

func labelledIn(answers []probe.Answer) (l labelled) {
	given, broken, pods := map[string]bool{}, map[string]bool{}, map[string]map[string]bool{}
	for _, a := range answers {
		if !a.OK() {
			l.failed++
			broken[a.Session] = true
			continue
		}
		if a.Header[setCookie] != "" {
			given[a.Session] = true
		}
		if pods[a.Session] == nil {
			pods[a.Session] = map[string]bool{}
		}
		pods[a.Session][a.Pod] = true
	}
	l.asked, l.why = len(answers), reasons(answers)
	l.cookies = len(given)
	for session, p := range pods {
		if len(p) == 1 && !broken[session] { // where a failed request would have gone is not known
			l.kept++
		}
	}
	return l
}

func judgeLabels(claimed, istios, none labelled) claims.Finding {
	asked, failed := 0, 0
	var why []string
	for _, l := range []labelled{claimed, istios, none} {
		asked, failed = asked+l.asked, failed+l.failed
		if l.why != "" {
			why = append(why, l.why)
		}
	}
	f := claims.Finding{
		Measured: fmt.Sprintf("of %d sessions over %d pods, given a cookie and kept at one pod: %s %d and %d, %s %d and %d, no label %d and %d; %d of %d requests failed%s",
			labelSessions, labelPods, claimedLabel, claimed.cookies, claimed.kept, realLabel, istios.cookies, istios.kept, none.cookies, none.kept,
			failed, asked, inBrackets(strings.Join(why, ", "))),
		Figures: map[string]float64{
			"claimed_cookies": float64(claimed.cookies), "claimed_kept": float64(claimed.kept), "real_cookies": float64(istios.cookies),
			"real_kept": float64(istios.kept), "none_cookies": float64(none.cookies), "none_kept": float64(none.kept),
			"asked": float64(asked), "failed": float64(failed),
		},
	}
	switch {
	case failed > 0:
		f.Verdict, f.Note = reportv1.Verdict_VERDICT_NOT_MEASURABLE_HERE, "requests failed, and where they would have gone is not known: try again"
	case none.cookies > 0 || none.kept > 0:
		f.Verdict = reportv1.Verdict_VERDICT_NOT_MEASURABLE_HERE
		f.Note = "sessions are given a cookie, or kept at one pod, without any label too, so something else does it"
	case istios.cookies < labelSessions:
		f.Verdict = reportv1.Verdict_VERDICT_NOT_MEASURABLE_HERE
		f.Note = "Istio's own label does nothing here either: install Istio with deploy/istio/operator.yaml, which sets PILOT_ENABLE_PERSISTENT_SESSION_FILTER"
	case claimed.cookies == 0:
		f.Verdict = reportv1.Verdict_VERDICT_NOT_REPRODUCED
		f.Note = "the label does nothing; " + realLabel + " is the one"
	case claimed.cookies == labelSessions && claimed.kept == labelSessions:
		f.Verdict = reportv1.Verdict_VERDICT_REPRODUCED
	default:
		f.Verdict, f.Note = reportv1.Verdict_VERDICT_DEPENDS, "on the session: some were given a cookie"
	}
	return f
}
