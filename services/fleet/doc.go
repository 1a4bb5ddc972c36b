// Package fleet runs the whole project on one machine: smaran, the mesh, a Redis and a process for each jarvis pod. It plays the
// parts of Kubernetes that matter to a session: names and addresses of pods, endpoints, the restart of what died,
// termination with a grace, ReplicaSet and rolling update. It is steered over fleet.v1 on loopback.
//
// It carries no request and knows nothing of sessions. What it plays, and where it differs:
//
//   - A pod joins the endpoints once it is ready. Joins, and the departure of pods that had been draining, are collected until
//     nothing came for Config.Batch (Istio debounces its configuration by 100 ms too). A pod that starts to drain, or whose
//     death is noticed, is written at once.
//   - A death is noticed after Config.Detect, as by the kubelet, which looks once a second: then the endpoint leaves. The
//     process starts anew after Config.RestartAfter, with a back-off where it keeps dying. Where it is ready again before its death was
//     noticed, the endpoints never change.
//   - Nothing probes a pod that was ready once: a frozen pod stays in the endpoints, HEALTHY, until it is killed.
//   - A replacement is a new pod with a new name and address, and does not wait for the end of the one it replaces
//     (a Deployment's podReplacementPolicy TerminationStarted).
//   - One change at a time: a second one waits for its turn. Status and Down don't.
//
// A Fleet is one of them. A House is what the program runs: a fleet, or with a stage up to two beside each other, each in a lane whose
// addresses stay when another backend's fleet takes its place, and a crowd of callers a lane.
package fleet
