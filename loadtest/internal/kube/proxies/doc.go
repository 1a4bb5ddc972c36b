// Package proxies asks Envoys what they know: which hosts a Service has, how one is chosen, and of what version they are. It reads their
// admin port, which listens on the pod's localhost only, through whatever dials there.
//
// The figures say how long a change of endpoints took to reach a proxy, and whether proxies would send a session to different pods.
package proxies
