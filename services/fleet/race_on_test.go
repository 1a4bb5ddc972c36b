//go:build race

package fleet_test

// The real programs are built as the test is, which reuses what was compiled for it, and finds their races too.
func buildFlags() []string { return []string{"-race"} }
