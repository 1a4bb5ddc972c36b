package session

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"connectrpc.com/connect"
)

// Interceptor carries the session between header and context on both sides of Connect.
//
// A server puts the header's session into the context, or answers CodeInvalidArgument with an *Error inside; procedures
// named in exempt need none. A client puts the context's session into the header; a header that already names another one
// is an error matching ErrConflict, and nothing is sent, because the mesh would route by one and the pod store under the other.
func Interceptor(policy Policy, exempt ...string) connect.Interceptor {
	skip := make(map[string]bool, len(exempt))
	for _, procedure := range exempt {
		skip[procedure] = true
	}
	return &interceptor{policy: policy, exempt: skip}
}

type interceptor struct {
	policy Policy
	exempt map[string]bool
}

func (i *interceptor) WrapUnary(next connect.UnaryFunc) connect.UnaryFunc {
	return func(ctx context.Context, req connect.AnyRequest) (connect.AnyResponse, error) {
		if req.Spec().IsClient {
			if err := inject(ctx, req.Header()); err != nil {
				return nil, err
			}
			return next(ctx, req)
		}
		ctx, err := i.extract(ctx, req.Spec().Procedure, req.Header())
		if err != nil {
			return nil, err
		}
		return next(ctx, req)
	}
}

func (i *interceptor) WrapStreamingClient(next connect.StreamingClientFunc) connect.StreamingClientFunc {
	return func(ctx context.Context, spec connect.Spec) connect.StreamingClientConn {
		if _, ok := FromContext(ctx); !ok {
			return next(ctx, spec)
		}
		return newCheckedConn(ctx, next(ctx, spec))
	}
}

func (i *interceptor) WrapStreamingHandler(next connect.StreamingHandlerFunc) connect.StreamingHandlerFunc {
	return func(ctx context.Context, conn connect.StreamingHandlerConn) error {
		ctx, err := i.extract(ctx, conn.Spec().Procedure, conn.RequestHeader())
		if err != nil {
			return err
		}
		return next(ctx, conn)
	}
}

func (i *interceptor) extract(ctx context.Context, procedure string, h http.Header) (context.Context, error) {
	if i.exempt[procedure] {
		return ctx, nil
	}
	id, err := FromHeader(h)
	switch {
	case err == nil:
		return annotate(NewContext(ctx, id), id), nil
	case i.policy == Lenient && errors.Is(err, ErrMissing):
		return ctx, nil
	}
	return nil, connect.NewError(connect.CodeInvalidArgument, err)
}

func inject(ctx context.Context, h http.Header) error {
	id, ok := FromContext(ctx)
	if !ok {
		return nil
	}
	if got := h.Get(Header); got != "" && got != string(id) {
		return connect.NewError(connect.CodeInvalidArgument,
			newError(ErrConflict, fmt.Sprintf("%q in the context, %q in the header", id, got)))
	}
	Set(h, id)
	return nil
}
