// Package phone drives the panel of the stage's page from which a browser calls an agent: it opens it, calls, asks, hangs up, and reads what
// the panel says of the call. It is for tests, and alone knows the panel's elements. What should become of a call is the tests' business,
// and so is the stage that serves the page.
package phone
