// Package chart draws the report's charts as inline SVG, without a script and with colours that the page's style sheet gives.
//
// A chart takes plain numbers; it knows nothing of backends, runs or report.v1. Every SVG has a title and a description,
// and each mark says its figure when pointed at. Text that comes from outside is escaped here, in one place.
package chart
