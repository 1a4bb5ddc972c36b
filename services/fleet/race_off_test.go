//go:build !race

package fleet_test

func buildFlags() []string { return nil }
