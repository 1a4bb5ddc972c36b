package envoyconfig

import (
	"time"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	routerv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/router/v3"
	statefulv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/stateful_session/v3"
	hcmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	cookiev3 "github.com/envoyproxy/go-control-plane/envoy/extensions/http/stateful_session/cookie/v3"
	headerv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/http/stateful_session/header/v3"
	previousv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/retry/host/previous_hosts/v3"
	typehttpv3 "github.com/envoyproxy/go-control-plane/envoy/type/http/v3"
	matcherv3 "github.com/envoyproxy/go-control-plane/envoy/type/matcher/v3"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/smaran-v2/smaran/services/endpoints"
	"github.com/smaran-v2/smaran/services/mesh"
)

func (r *renderer) listener() *listenerv3.Listener {
	manager := &hcmv3.HttpConnectionManager{
		StatPrefix:        Listener,
		StreamIdleTimeout: duration(0), // as Istio; the routes' time-outs bound a request
		UpgradeConfigs:    []*hcmv3.HttpConnectionManager_UpgradeConfig{{UpgradeType: "websocket"}},
		HttpFilters:       r.filters(),
		RouteSpecifier: &hcmv3.HttpConnectionManager_RouteConfig{RouteConfig: &routev3.RouteConfiguration{
			Name: Listener,
			VirtualHosts: []*routev3.VirtualHost{{
				Name:                       Listener,
				Domains:                    []string{"*"},
				Routes:                     r.routes(),
				IncludeRequestAttemptCount: true,
			}},
		}},
	}
	return &listenerv3.Listener{
		Name:    Listener,
		Address: r.address(r.options.Listen),
		FilterChains: []*listenerv3.FilterChain{{Filters: []*listenerv3.Filter{{
			Name:       "envoy.filters.network.http_connection_manager",
			ConfigType: &listenerv3.Filter_TypedConfig{TypedConfig: r.any(manager)},
		}}}},
	}
}

func (r *renderer) filters() []*hcmv3.HttpFilter {
	filters := []*hcmv3.HttpFilter{{
		Name:       "envoy.filters.http.router",
		ConfigType: &hcmv3.HttpFilter_TypedConfig{TypedConfig: r.any(&routerv3.Router{})},
	}}
	var name string
	var state proto.Message
	switch r.options.Policy {
	case mesh.StatefulByHeader:
		name = "envoy.http.stateful_session.header"
		state = &headerv3.HeaderBasedSessionState{Name: mesh.StatefulHeader}
	case mesh.StatefulByCookie:
		name = "envoy.http.stateful_session.cookie"
		cookie := &typehttpv3.Cookie{Name: mesh.StatefulCookie, Path: mesh.CookiePath}
		if ttl := r.options.CookieTTL.Truncate(time.Second); ttl > 0 {
			cookie.Ttl = duration(ttl)
		}
		state = &cookiev3.CookieBasedSessionState{Cookie: cookie}
	default:
		return filters
	}
	stateful := &statefulv3.StatefulSession{SessionState: &corev3.TypedExtensionConfig{Name: name, TypedConfig: r.any(state)}}
	return append([]*hcmv3.HttpFilter{{
		Name:       "envoy.filters.http.stateful_session",
		ConfigType: &hcmv3.HttpFilter_TypedConfig{TypedConfig: r.any(stateful)},
	}}, filters...)
}

// routes are one for each sign of a stream, then one for all the rest.
func (r *renderer) routes() []*routev3.Route {
	header := func(name string, match *matcherv3.StringMatcher) *routev3.HeaderMatcher {
		return &routev3.HeaderMatcher{
			Name:                 name,
			HeaderMatchSpecifier: &routev3.HeaderMatcher_StringMatch{StringMatch: match},
		}
	}
	prefix := func(value string) *matcherv3.StringMatcher {
		return &matcherv3.StringMatcher{MatchPattern: &matcherv3.StringMatcher_Prefix{Prefix: value}}
	}
	contains := &matcherv3.StringMatcher{MatchPattern: &matcherv3.StringMatcher_Contains{Contains: mesh.StreamAccept}}
	return []*routev3.Route{
		r.route(r.options.StreamTimeout, header("content-type", prefix(mesh.StreamTypeOfConnect))),
		r.route(r.options.StreamTimeout, header("content-type", prefix(mesh.StreamTypeOfGRPC))),
		r.route(r.options.StreamTimeout, header("accept", contains)),
		r.route(r.options.Timeout),
	}
}

func (r *renderer) route(timeout time.Duration, headers ...*routev3.HeaderMatcher) *routev3.Route {
	action := &routev3.RouteAction{
		ClusterSpecifier: &routev3.RouteAction_Cluster{Cluster: endpoints.ClusterName},
		Timeout:          duration(timeout),
		RetryPolicy:      r.retries(),
	}
	if _, hashed := r.options.Policy.Algorithm(); hashed {
		action.HashPolicy = []*routev3.RouteAction_HashPolicy{{
			PolicySpecifier: &routev3.RouteAction_HashPolicy_Header_{
				Header: &routev3.RouteAction_HashPolicy_Header{HeaderName: r.options.SessionHeader},
			},
		}}
	}
	return &routev3.Route{
		Match: &routev3.RouteMatch{
			PathSpecifier: &routev3.RouteMatch_Prefix{Prefix: "/"},
			Headers:       headers,
		},
		Action: &routev3.Route_Route{Route: action},
	}
}

// hostAttempts is how often Istio lets the balancer be asked for a host that was not tried yet.
const hostAttempts = 5

// retries are those of Istio's default policy that package mesh knows: a connection that failed and a stream that was
// refused, but not a gRPC status, which needs a copy of the request's body.
func (r *renderer) retries() *routev3.RetryPolicy {
	if r.options.Retries == 0 {
		return nil
	}
	policy := &routev3.RetryPolicy{
		RetryOn:                       "connect-failure,refused-stream",
		NumRetries:                    wrapperspb.UInt32(r.options.Retries),
		HostSelectionRetryMaxAttempts: hostAttempts,
	}
	if !r.options.RetriesSame() {
		policy.RetryHostPredicate = []*routev3.RetryPolicy_RetryHostPredicate{{
			Name: "envoy.retry_host_predicates.previous_hosts",
			ConfigType: &routev3.RetryPolicy_RetryHostPredicate_TypedConfig{
				TypedConfig: r.any(&previousv3.PreviousHostsPredicate{}),
			},
		}}
	}
	return policy
}
