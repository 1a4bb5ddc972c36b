package origin_test

import (
	"testing"

	"github.com/stretchr/testify/require"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"
	"go.opentelemetry.io/otel/trace/noop"

	"github.com/smaran-v2/smaran/services/jarvis/origin"
	"github.com/smaran-v2/smaran/services/session"
)

const id = session.ID("room-42")

func traces(t *testing.T) (*origin.Traces, trace.Tracer, *tracetest.SpanRecorder) {
	t.Helper()
	ended := tracetest.NewSpanRecorder()
	provider := sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(ended))
	of, err := origin.New(provider, "test")
	require.NoError(t, err)
	return of, provider.Tracer("test"), ended
}

func TestAStepStandsInTheCallsTraceAndNamesItsCause(t *testing.T) {
	of, tracer, ended := traces(t)
	call, offer := tracer.Start(t.Context(), "offer")
	of.Began(call, id)
	cause, drain := of.Cause(call, "drain")
	require.NotEqual(t, offer.SpanContext().TraceID(), drain.SpanContext().TraceID(), "a pod's own doing is in no call's trace")

	_, step := of.Start(cause, id, "copy")
	step.End()
	got := ended.Ended()[0]
	require.Equal(t, offer.SpanContext().TraceID(), got.SpanContext().TraceID())
	require.Equal(t, offer.SpanContext().SpanID(), got.Parent().SpanID())
	require.Len(t, got.Links(), 1)
	require.Equal(t, drain.SpanContext().SpanID(), got.Links()[0].SpanContext.SpanID())
	require.Contains(t, got.Attributes(), session.SpanKey.String(string(id)))

	within, request := tracer.Start(call, "request")
	_, step = of.Start(within, id, "settle")
	step.End()
	got = ended.Ended()[1]
	require.Equal(t, request.SpanContext().SpanID(), got.Parent().SpanID(), "below the request, where that is in the trace already")
	require.Empty(t, got.Links())
}

func TestTheLatestOfferCountsAndAQuestionOnlyWhereThereIsNone(t *testing.T) {
	of, tracer, _ := traces(t)
	start := func() trace.TraceID {
		_, span := of.Start(t.Context(), id, "step")
		return span.SpanContext().TraceID()
	}
	asked, first := tracer.Start(t.Context(), "question")
	of.Asked(asked, id)
	require.Equal(t, first.SpanContext().TraceID(), start())
	offered, second := tracer.Start(t.Context(), "offer")
	of.Began(offered, id)
	again, _ := tracer.Start(t.Context(), "question")
	of.Asked(again, id)
	require.Equal(t, second.SpanContext().TraceID(), start())
}

func TestNothingIsKeptWhereNothingIsTraced(t *testing.T) {
	of, err := origin.New(noop.NewTracerProvider(), "test")
	require.NoError(t, err)
	require.Nil(t, of)
	of.Began(t.Context(), id)
	of.Asked(t.Context(), id)
	ctx, span := of.Start(t.Context(), id, "step")
	require.False(t, span.IsRecording())
	require.Equal(t, t.Context(), ctx)
	_, span = of.Cause(ctx, "drain")
	require.False(t, span.IsRecording())
}
