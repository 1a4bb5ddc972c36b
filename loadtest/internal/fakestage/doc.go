// Package fakestage is a stage that a test plays: it gives the orders that the test gives, and keeps what its crowd tells.
//
// It speaks stage.v1 over HTTP/2 on any listener, also on one in memory inside a testing/synctest bubble. It counts nothing and shows
// nothing: what it proves is about crowds.
package fakestage
