package istio

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/smaran-v2/smaran/loadtest/internal/envoyadmin"
	"github.com/smaran-v2/smaran/loadtest/internal/kube"
	"github.com/smaran-v2/smaran/loadtest/internal/kube/forward"
	"github.com/smaran-v2/smaran/loadtest/internal/kube/proxies"
	"github.com/smaran-v2/smaran/loadtest/internal/probe"
	"github.com/smaran-v2/smaran/services/endpoints"
)

// ErrProbe is returned for a probe that did not do what it was asked to.
var ErrProbe = errors.New("ask the probe")

// dial connects to a port of a pod's localhost.
func (n *namespace) dial(ctx context.Context, pod string, port int) (net.Conn, error) {
	return forward.Dialer{Config: n.Cluster.REST}.Dial(ctx, forward.Pod{Namespace: n.name, Name: pod, Port: port})
}

// http asks a port of a pod's localhost, once, and decodes the JSON of the answer.
func (n *namespace) http(ctx context.Context, pod string, port int, method, path string, body []byte, into any) error {
	return n.request(ctx, pod, port, method, path, body, func(said io.Reader) error { return json.NewDecoder(said).Decode(into) })
}

// text asks a port of a pod's localhost for a text.
func (n *namespace) text(ctx context.Context, pod string, port int, path string) (said string, err error) {
	err = n.request(ctx, pod, port, http.MethodGet, path, nil, func(body io.Reader) error {
		text, err := io.ReadAll(body)
		said = string(text)
		return err
	})
	return said, err
}

func (n *namespace) request(ctx context.Context, pod string, port int, method, path string, body []byte, read func(io.Reader) error) error {
	transport := &http.Transport{
		DialContext:       func(ctx context.Context, _, _ string) (net.Conn, error) { return n.dial(ctx, pod, port) },
		DisableKeepAlives: true,
	}
	defer transport.CloseIdleConnections()
	req, err := http.NewRequestWithContext(ctx, method, "http://"+net.JoinHostPort(pod, strconv.Itoa(port))+path, bytes.NewReader(body))
	if err != nil {
		return err
	}
	res, err := (&http.Client{Transport: transport}).Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		said, _ := io.ReadAll(io.LimitReader(res.Body, 512))
		return fmt.Errorf("%s: %s: %s", path, res.Status, bytes.TrimSpace(said))
	}
	return read(res.Body)
}

// ask has the one probe of a Deployment make requests. It fails with ErrProbe; requests that fail are answers.
func (n *namespace) ask(ctx context.Context, client string, b probe.Batch) ([]probe.Answer, error) {
	pod, err := n.pod(client)
	if err != nil {
		return nil, err
	}
	body, err := json.Marshal(b)
	if err != nil {
		return nil, err
	}
	var answers []probe.Answer
	if err := n.http(ctx, pod.Name, probe.ControlPort, http.MethodPost, probe.PathBatches, body, &answers); err != nil {
		return nil, fmt.Errorf("%w %s: %w", ErrProbe, pod.Name, err)
	}
	return answers, nil
}

// knows waits until a client's sidecar has so many healthy pods behind a Service, and the Service answers.
func (n *namespace) knows(ctx context.Context, client, service string, pods int) error {
	err := n.until(ctx, fmt.Sprintf("the sidecar of %s to know %d pods of %s", client, pods, service), func(ctx context.Context) (bool, error) {
		known, err := n.known(ctx, client, service)
		return len(known) == pods, err
	})
	if err != nil {
		return err
	}
	return n.answers(ctx, client, service)
}

// answers waits until a Service answers a client with 200.
func (n *namespace) answers(ctx context.Context, client, service string) error {
	return n.until(ctx, service+" to answer "+client, func(ctx context.Context) (bool, error) {
		answers, err := n.ask(ctx, client, probe.Batch{URL: url(service, "/inference"), Sessions: []string{"hello"}, Requests: 1})
		if err != nil || len(answers) == 0 {
			return false, err
		}
		if a := answers[0]; !a.OK() {
			return false, fmt.Errorf("%w: %s", ErrProbe, reason(a))
		}
		return true, nil
	})
}

// known are the addresses of a Service's healthy pods as a client's sidecar has them.
func (n *namespace) known(ctx context.Context, client, service string) ([]string, error) {
	pod, err := n.pod(client)
	if err != nil {
		return nil, err
	}
	p := proxies.New(pod.Name, func(ctx context.Context) (net.Conn, error) { return n.dial(ctx, pod.Name, proxies.AdminPort) })
	defer p.Close()
	hosts, err := p.Hosts(ctx, proxies.Outbound(service, n.name, kube.ServicePort))
	if err != nil {
		return nil, err
	}
	var out []string
	for _, h := range hosts {
		if h.Health == endpoints.Healthy {
			out = append(out, h.Address)
		}
	}
	return out, nil
}

// chooses waits until a client's sidecar chooses a Service's pods so, and asks it every so often.
func (n *namespace) chooses(ctx context.Context, every time.Duration, client, service string, want envoyadmin.Balancing) error {
	pod, err := n.pod(client)
	if err != nil {
		return err
	}
	p := proxies.New(pod.Name, func(ctx context.Context) (net.Conn, error) { return n.dial(ctx, pod.Name, proxies.AdminPort) })
	defer p.Close()
	what := fmt.Sprintf("the sidecar of %s to choose among the pods of %s by %s", client, service, want.Policy)
	return n.untilEvery(ctx, every, what, func(ctx context.Context) (bool, error) {
		b, err := p.Balancing(ctx, proxies.Outbound(service, n.name, kube.ServicePort))
		return b == want, err
	})
}

// envoy is Envoy's version in a client's sidecar.
func (n *namespace) envoy(ctx context.Context, client string) (string, error) {
	pod, err := n.pod(client)
	if err != nil {
		return "", err
	}
	p := proxies.New(pod.Name, func(ctx context.Context) (net.Conn, error) { return n.dial(ctx, pod.Name, proxies.AdminPort) })
	defer p.Close()
	return p.Version(ctx)
}

// statistics are the counters of a client's sidecar for a Service, by their last name, such as upstream_cx_total. Istio publishes them
// only where proxyStatsMatcher says so.
func (n *namespace) statistics(ctx context.Context, client, service string) (map[string]float64, error) {
	pod, err := n.pod(client)
	if err != nil {
		return nil, err
	}
	var found struct {
		Stats []struct {
			Name  string `json:"name"`
			Value any    `json:"value"`
		} `json:"stats"`
	}
	if err := n.http(ctx, pod.Name, proxies.AdminPort, http.MethodGet, "/stats?format=json&type=Counters", nil, &found); err != nil {
		return nil, fmt.Errorf("ask the sidecar of %s: %w", pod.Name, err)
	}
	prefix := "cluster." + proxies.Outbound(service, n.name, kube.ServicePort)
	out := map[string]float64{}
	for _, s := range found.Stats {
		rest, ok := strings.CutPrefix(s.Name, prefix)
		value, number := s.Value.(float64)
		if ok && number {
			out[rest[strings.LastIndex(rest, ".")+1:]] = value
		}
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("%w: counters of %s in the sidecar of %s", ErrMissing, service, pod.Name)
	}
	return out, nil
}

// reason is why a request was not answered well, in a few words: Envoy and net/http say the cause last, after a colon.
func reason(a probe.Answer) string {
	if a.Error != "" {
		return lastWords(a.Error)
	}
	return strings.TrimSpace(fmt.Sprintf("%d %s", a.Status, lastWords(a.Body)))
}

func lastWords(text string) string {
	return strings.TrimSpace(text[strings.LastIndex(text, ": ")+1:])
}

// reasons are those of all bad answers with how often, the commonest first; "" without any.
func reasons(answers []probe.Answer) string {
	counted := map[string]int{}
	for _, a := range answers {
		if !a.OK() {
			counted[reason(a)]++
		}
	}
	names := slices.SortedFunc(maps.Keys(counted), func(a, b string) int {
		return cmp.Or(cmp.Compare(counted[b], counted[a]), cmp.Compare(a, b))
	})
	for i, name := range names {
		names[i] = fmt.Sprintf("%d× %s", counted[name], name)
	}
	return strings.Join(names, ", ")
}

// inBrackets adds words to a sentence, if there are any.
func inBrackets(words string) string {
	if words == "" {
		return ""
	}
	return " (" + words + ")"
}
