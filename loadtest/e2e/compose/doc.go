// Package compose holds the end-to-end test of docker compose: real images, a real Envoy, a real Redis, real calls. Run it with
//
//	make e2e-compose
//
// which builds the images first. It looks at what must hold on any machine, however busy: where sessions go and what calls survive,
// not how long it takes; and at what a real Prometheus and Jaeger make of it. Grafana it does without.
package compose
