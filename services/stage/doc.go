// Package stage is the page that is shown at a talk, and all that serves it: the stream of what happens, the controls, the way through to
// smaran for a call from the browser, recordings, and the stream over which crowds of callers tell what they see.
//
// What there is to see is in package scene, filled by package director; where the fleets run is a package venue. The page itself is in
// package web. openapi.yaml describes what is served here, and a test holds the two to each other.
package stage
