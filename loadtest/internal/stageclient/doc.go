// Package stageclient gives a stage orders and waits until they are carried out, for the tests of what a stage does. It asks the API of the
// stage's page, once a time; the page's own stream, and what crowds say to a stage, are none of its business.
package stageclient
