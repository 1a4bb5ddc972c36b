package wire

// Names of counts, as report.v1 and stage.v1 have them; docs/measurement.md says what each is. The first ones are classes of what a caller
// saw happen, the others are counted from those and from its requests.
const (
	CountMisroutes          = "misroutes"
	CountSignalReconnects   = "signal_reconnects"
	CountMediaInterruptions = "media_interruptions"
	CountRenegotiations     = "renegotiations"
	CountMigrations         = "migrations"
	CountDroppedNoMedia     = "dropped_no_media"
	CountDroppedStateLost   = "dropped_state_lost"
	CountSetupFailures      = "setup_failures"
	CountStateLost          = "state_lost"
	CountUnspoken           = "unspoken"
	CountForwards           = "forwards"
	CountGapsOver60ms       = "gaps_over_60ms"
	CountGapsOver1s         = "gaps_over_1s"
	// CountDroppedCalls has each call once that is in one of the two parts.
	CountDroppedCalls      = "dropped_calls"
	CountMisroutedRequests = "misrouted_requests"
	CountColdStarts        = "cold_starts"
	CountFirstLoads        = "first_loads"
	CountRequestsFailed    = "requests_failed"
	CountRequests          = "requests"
	// CountDroppedIterations are requests that were not sent, as their caller had too many unanswered ones.
	CountDroppedIterations = "dropped_iterations"
)
