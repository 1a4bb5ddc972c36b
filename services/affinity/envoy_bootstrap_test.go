package affinity_test

import (
	"encoding/json"
	"net"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/smaran-v2/smaran/services/affinity"
)

// object is a JSON object of Envoy's configuration.
type object = map[string]any

const typePrefix = "type.googleapis.com/envoy.extensions."

// route sends the requests below /name/ to a cluster of its own.
type route struct {
	name    string
	policy  affinity.Policy // "" is round robin
	options affinity.Options
	hosts   []affinity.Host
	hash    []object // hash policies
	retries int      // on 5xx, each on a host not tried yet
}

// listener is a port with HTTP routes.
type listener struct {
	name    string
	address string   // without port
	filters []object // before the router
	routes  []route
}

// retrySelections is how many choices a retry may refuse before it takes what comes.
const retrySelections = 3

// bootstrap is the configuration of an Envoy with these listeners and with the clusters of their routes.
func bootstrap(t *testing.T, listeners ...listener) string {
	t.Helper()
	clusters := map[string]object{}
	var front []object
	for _, l := range listeners {
		var routes []object
		for _, r := range l.routes {
			clusters[r.name] = r.cluster(t)
			action := object{"cluster": r.name, "hash_policy": r.hash}
			if r.retries > 0 {
				action["retry_policy"] = object{
					"retry_on":       "5xx",
					"num_retries":    r.retries,
					"retry_back_off": object{"base_interval": "0.001s", "max_interval": "0.001s"},
					"retry_host_predicate": []object{{
						"name":         "envoy.retry_host_predicates.previous_hosts",
						"typed_config": object{"@type": typePrefix + "retry.host.previous_hosts.v3.PreviousHostsPredicate"},
					}},
					"host_selection_retry_max_attempts": retrySelections,
				}
			}
			routes = append(routes, object{"match": object{"prefix": "/" + r.name + "/"}, "route": action})
		}
		router := object{
			"name":         "envoy.filters.http.router",
			"typed_config": object{"@type": typePrefix + "filters.http.router.v3.Router"},
		}
		front = append(front, object{
			"name":    l.name,
			"address": socketAddress(l.address, 0),
			"filter_chains": []object{{"filters": []object{{
				"name": "envoy.filters.network.http_connection_manager",
				"typed_config": object{
					"@type":              typePrefix + "filters.network.http_connection_manager.v3.HttpConnectionManager",
					"stat_prefix":        l.name,
					"use_remote_address": true,
					"http_filters":       append(append([]object{}, l.filters...), router),
					"route_config": object{"virtual_hosts": []object{{
						"name": "all", "domains": []string{"*"}, "routes": routes,
						"include_request_attempt_count": true,
					}}},
				},
			}}}},
		})
	}
	back := make([]object, 0, len(clusters))
	for _, c := range clusters {
		back = append(back, c)
	}
	raw, err := json.Marshal(object{"static_resources": object{"listeners": front, "clusters": back}})
	require.NoError(t, err)
	return string(raw)
}

func (r route) cluster(t *testing.T) object {
	t.Helper()
	endpoints := make([]object, len(r.hosts))
	for i, h := range r.hosts {
		host, port, err := net.SplitHostPort(h.Address)
		require.NoError(t, err)
		number, err := strconv.Atoi(port)
		require.NoError(t, err)
		endpoints[i] = object{"endpoint": object{"address": socketAddress(host, number)}}
		if h.Weight > 0 {
			endpoints[i]["load_balancing_weight"] = h.Weight
		}
		if h.HashKey != "" {
			endpoints[i]["metadata"] = object{"filter_metadata": object{"envoy.lb": object{"hash_key": h.HashKey}}}
		}
	}
	c := object{
		"name":            r.name,
		"type":            "STATIC",
		"lb_policy":       "ROUND_ROBIN",
		"connect_timeout": "5s",
		"load_assignment": object{"cluster_name": r.name, "endpoints": []object{{"lb_endpoints": endpoints}}},
		// Hundreds of hosts in dozens of clusters would outgrow the file descriptors of some machines.
		"typed_extension_protocol_options": object{"envoy.extensions.upstreams.http.v3.HttpProtocolOptions": object{
			"@type":                        typePrefix + "upstreams.http.v3.HttpProtocolOptions",
			"common_http_protocol_options": object{"idle_timeout": "0.5s"},
			"explicit_http_config":         object{"http_protocol_options": object{}},
		}},
	}
	switch r.policy {
	case affinity.PolicyRing:
		c["lb_policy"] = "RING_HASH"
		sizes := object{}
		if r.options.MinRingSize > 0 {
			sizes["minimum_ring_size"] = r.options.MinRingSize
		}
		if r.options.MaxRingSize > 0 {
			sizes["maximum_ring_size"] = r.options.MaxRingSize
		}
		c["ring_hash_lb_config"] = sizes
	case affinity.PolicyMaglev:
		c["lb_policy"] = "MAGLEV"
		if r.options.TableSize > 0 {
			c["maglev_lb_config"] = object{"table_size": r.options.TableSize}
		}
	}
	return c
}

func socketAddress(ip string, port int) object {
	return object{"socket_address": object{"address": ip, "port_value": port}}
}

// Hash policies of a route.

func byHeader(name string) object { return object{"header": object{"header_name": name}} }

func byCookie(name string) object { return object{"cookie": object{"name": name}} }

func byCookieOrGenerate(name, path string, ttl time.Duration) object {
	return object{"cookie": object{"name": name, "path": path, "ttl": seconds(ttl)}}
}

func bySourceIP() object { return object{"connection_properties": object{"source_ip": true}} }

func terminal(policy object) object {
	policy["terminal"] = true
	return policy
}

// Stateful session filters.

func statefulHeader(name string) object {
	return statefulSession("header", "header.v3.HeaderBasedSessionState", object{"name": name})
}

func statefulCookie(name, path string, ttl time.Duration) object {
	return statefulSession("cookie", "cookie.v3.CookieBasedSessionState",
		object{"cookie": object{"name": name, "path": path, "ttl": seconds(ttl)}})
}

func statefulSession(mode, message string, state object) object {
	state["@type"] = typePrefix + "http.stateful_session." + message
	return object{
		"name": "envoy.filters.http.stateful_session",
		"typed_config": object{
			"@type": typePrefix + "filters.http.stateful_session.v3.StatefulSession",
			"session_state": object{
				"name":         "envoy.http.stateful_session." + mode,
				"typed_config": state,
			},
		},
	}
}

// seconds is a duration in protobuf's JSON.
func seconds(d time.Duration) string {
	return strconv.FormatFloat(d.Seconds(), 'f', -1, 64) + "s"
}
