// Package signals reads what deploy/observability asks Prometheus: every PromQL query of a dashboard or an alert, where it stands, and which
// metrics it names. Its tests hold the queries to what services emit, so that a panel that says "No data" fails a build before it fails a
// talk. It draws nothing and asks nothing by itself.
package signals
