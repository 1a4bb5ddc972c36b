// Package report shows what a run measured: tables for a terminal, and one HTML file that needs no network, no server
// and no script to be read.
//
// It reads report.v1 and nothing else, and it computes no result of its own: a figure that is not in the report is shown as "–", never as
// 0, and a run that is not valid is shown apart and compared with nothing. Disconnect classes are never added up.
package report
