package telemetry

import (
	"context"
	"fmt"
	"log/slog"

	"go.opentelemetry.io/contrib/exporters/autoexport"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
	"go.opentelemetry.io/otel/trace/noop"
)

// tracing returns a provider that exports in batches from a bounded queue, or one that does nothing.
func tracing(ctx context.Context, o Options, log *slog.Logger) (trace.TracerProvider, func(context.Context) error, error) {
	if !asked(o.Environ) {
		return noop.NewTracerProvider(), func(context.Context) error { return nil }, nil
	}
	exporter, err := autoexport.NewSpanExporter(ctx)
	if err != nil {
		return nil, nil, fmt.Errorf("trace exporter that OTEL_* asks for: %w", err)
	}
	attributes := []attribute.KeyValue{attribute.String("service.name", o.Service)}
	if o.Instance != "" {
		attributes = append(attributes, attribute.String("service.instance.id", o.Instance))
	}
	// Variables win over what the program says of itself, as the specification has it.
	described, err := resource.New(ctx, resource.WithAttributes(attributes...), resource.WithHost(), resource.WithFromEnv())
	if err != nil {
		return nil, nil, fmt.Errorf("describe this process for traces: %w", err)
	}
	// The SDK prints export errors by default; one that repeats every five seconds would bury the log.
	otel.SetErrorHandler(otel.ErrorHandlerFunc(func(err error) { log.Debug("traces not exported", "error", err) }))
	provider := sdktrace.NewTracerProvider(sdktrace.WithBatcher(exporter), sdktrace.WithResource(described))
	return provider, provider.Shutdown, nil
}
