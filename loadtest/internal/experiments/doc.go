// Package experiments puts those claims to the test that no scenario does and one machine can: `bin/loadtest claims`.
//
// An experiment measures, and a pure function beside it judges what was measured, so that the thresholds are tested without measuring.
// What is simulated or calculated says so in its finding. An experiment that lacks something real, such as a redis-server, is not
// measurable here and says what is missing; it never falls back to a stand-in.
package experiments
