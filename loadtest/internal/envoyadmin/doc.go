// Package envoyadmin reads what an Envoy says on its admin interface: its version, how it balances, and how it finds the hosts of a
// cluster. The generated types (envoy.admin.v3) would bring all of Envoy's configuration into the program, some megabytes; what is needed
// of them is written out here.
//
// How to reach an Envoy, and how long to wait for it, is the matter of the HTTP client that it is given.
package envoyadmin
