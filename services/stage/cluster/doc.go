// Package cluster is the stage's fleet where it runs on Kubernetes: fleet.v1, as bin/fleet serves it on one machine, in the API server's terms,
// and the venue of its one lane.
//
// It looks at what there is with the verbs of the component features/stage, and changes it with those of features/stage-controls, which it does
// not have by itself. A change is the API server's own, and so somewhat kinder than a machine's: nobody but a node can send SIGKILL or SIGSTOP,
// so Kill deletes without grace, which still sends SIGTERM first, and Freeze is not possible. Backends are overlays, which kubectl applies.
package cluster
