package wire

// PathMetrics is on the admin port of every service: Prometheus' text format.
const PathMetrics = "/metrics"

// MetricBuildInfo is a gauge of every service that is always 1, and its labels: the service's name, the revision of this repository that
// it was built from ("unknown" where the build was not told), and the version of Go.
const (
	MetricBuildInfo = "smaran_build_info"
	LabelService    = "service"
	LabelRevision   = "revision"
	LabelGoVersion  = "goversion"
)
