package backend

import (
	"context"
	"errors"
	"net/http"

	"github.com/smaran-v2/smaran/services/endpoints"
	"github.com/smaran-v2/smaran/services/peers"
	"github.com/smaran-v2/smaran/services/session"
)

// Errors of this package, wrapped with details.
var (
	// ErrNoPods: there is no pod to choose.
	ErrNoPods = errors.New("backend: no pod can take the session")
	// ErrUnknown: no backend has that name.
	ErrUnknown = errors.New("backend: unknown name")
	// ErrUnconfigured: the backend needs something that this process was not given.
	ErrUnconfigured = errors.New("backend: not configured")
)

// Backend is a way to choose pods. It is safe for concurrent use.
type Backend interface {
	// Route turns a session into a target. It fails with ErrNoPods, or as ctx does.
	Route(ctx context.Context, r Request) (Target, error)
	// Learn is told what came of sending r to the target that Route chose, and says what follows from it. It does not block.
	Learn(ctx context.Context, r Request, t Target, o Outcome) Lesson
}

// Request is what a backend may look at.
type Request struct {
	// Session is empty where the request has none and that is allowed; then any pod will do.
	Session session.ID
	// LostPod names the pod whose loss makes the caller redial. Another one is chosen, and addressed, for as long as there
	// is another one; the lost pod is better than none, as it may have come back.
	//
	// It is the one thing a client says that has a say in the choice: it can leave a pod out, not choose one.
	LostPod string
	// Header is what the client sent.
	Header http.Header
	// Refused is set when a request is routed a second time because the lesson of the first was to retry.
	Refused *Refusal
}

// Refusal is a first try.
type Refusal struct {
	Target  Target
	Outcome Outcome
}

// Target is where a request goes.
type Target struct {
	// BaseURL is scheme and authority: a pod's, or the mesh's.
	BaseURL string
	// Pod is the name of the addressed pod, Address its ip:port; both are empty where the mesh chooses.
	Pod, Address string
	// Header is to be added to the request.
	Header http.Header
	// Epoch is the session's, 0 where the backend keeps none. It stands in Header too.
	Epoch uint64
	// Degraded is set where the backend could not keep its promise and fell back.
	Degraded bool
}

// Addressed reports whether the target is a pod rather than the mesh.
func (t Target) Addressed() bool { return t.Address != "" }

// Addressed is the target that a pod is by itself. The way there may lead through a mesh, which takes the request to another pod
// where it can't reach that one: look at who answered (Astray).
func Addressed(way peers.Way, pod, address string) Target {
	at := way.To(address)
	return Target{BaseURL: at.BaseURL, Header: at.Header, Pod: pod, Address: address}
}

// directly is the part of a backend that addresses pods.
type directly struct{ way peers.Way }

func (d directly) to(e endpoints.Endpoint) Target { return Addressed(d.way, e.Pod, e.Address) }

// Result classifies an outcome.
type Result int

// What may come of a request.
const (
	// Answered: the pod did what it was asked, or refused for a reason that has nothing to do with where it was asked.
	Answered Result = iota
	// NotHeld: the pod does not hold the call, or knows a later epoch.
	NotHeld
	// Draining: the pod is going away and takes no new session.
	Draining
	// Unreachable: no connection to the target could be made, so the request was not sent.
	Unreachable
	// Astray: another pod than the addressed one answered, because the mesh could not reach that one, or no longer has it. Nothing came of
	// the request where it was meant to go; whether it was served where it went is Outcome.Served.
	Astray
	// Failed: anything else, such as a time-out. The request may have been sent.
	Failed
)

// Outcome is what came of a request.
type Outcome struct {
	Result Result
	// Pod is the name of the pod that answered, "" if none did. Served is whether it did what it was asked.
	Pod    string
	Served bool
	// Owner, OwnerAddress and Epoch are what the pod knows of the session: the owner's name and ip:port if NotHeld and it knows them, and
	// the epoch.
	Owner, OwnerAddress string
	Epoch               uint64
	// Header is the reply's, also an error's; it may be nil.
	Header http.Header
}

// Lesson is what follows from an outcome.
type Lesson struct {
	// Retry: routing the request again may lead to a better target. Once is enough.
	Retry bool
	// Header is to be added to the reply to the client.
	Header http.Header
}

// Runner is implemented by a backend that has something to do besides requests. Run returns when ctx ends.
type Runner interface {
	Run(ctx context.Context)
}
