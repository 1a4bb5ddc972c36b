// Package dns follows the pods behind one name: every address that DNS gives, as long as the pod there says that it is ready. It
// is what Envoy's STRICT_DNS cluster with an active health check on the same path sees:
//
//   - A new address is in rotation with its first good check, and out with the first answer that is not 200
//     (HttpHealthCheckerImpl in source/extensions/health_checkers/http). Without an answer it takes UnhealthyAfter checks.
//   - An address that DNS no longer gives stays for as long as its checks are good (dont_remove_healthy_hosts in
//     source/common/upstream/upstream_impl.cc).
//   - A lookup that fails changes nothing; a name that does not exist has no addresses (cares_accept_nodata in
//     source/extensions/network/dns_resolver/cares).
//   - A pod that answers as a degraded one (wire.HeaderEnvoyDegraded) drains: it is out of the balancing, and may still be addressed.
//
// Beyond Envoy it asks each pod for its name, and lists a pod that was in rotation and answers that it is not ready as
// draining: whoever addresses pods may still do so.
package dns
