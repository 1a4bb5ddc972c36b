package telemetry

import (
	"context"
	"fmt"
	"os"
	"strings"
	"sync"

	promproducer "go.opentelemetry.io/contrib/bridges/prometheus"
	"go.opentelemetry.io/contrib/exporters/autoexport"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace/noop"
)

// export prepares what OTEL_* variables ask for, and nothing else.
func (t *Telemetry) export(ctx context.Context, o Options) error {
	t.Tracer = noop.NewTracerProvider()
	spans, metrics := asked(o.Environ, "TRACES"), asked(o.Environ, "METRICS")
	if !spans && !metrics {
		return nil
	}
	// The SDK prints export errors by default; one that repeats every few seconds would bury the log.
	otel.SetErrorHandler(otel.ErrorHandlerFunc(func(err error) { t.Log.Debug("telemetry not exported", "error", err) }))
	described, err := describe(ctx, o)
	if err != nil {
		return err
	}
	if spans {
		if err := t.exportSpans(ctx, described); err != nil {
			return err
		}
	}
	if metrics {
		return t.exportMetrics(ctx, described)
	}
	return nil
}

// describe is what this process says of itself. Variables win over that, as the specification has it.
func describe(ctx context.Context, o Options) (*resource.Resource, error) {
	attributes := []attribute.KeyValue{attribute.String("service.name", o.Service)}
	if o.Instance != "" {
		attributes = append(attributes, attribute.String("service.instance.id", o.Instance))
	}
	described, err := resource.New(ctx, resource.WithAttributes(attributes...), resource.WithHost(), resource.WithFromEnv())
	if err != nil {
		return nil, fmt.Errorf("describe this process for OTEL_*: %w", err)
	}
	return described, nil
}

// exportSpans has spans sent in batches from a bounded queue: what does not fit is dropped, and no request waits.
func (t *Telemetry) exportSpans(ctx context.Context, described *resource.Resource) error {
	exporter, err := autoexport.NewSpanExporter(ctx)
	if err != nil {
		return refused("TRACES", err)
	}
	provider := sdktrace.NewTracerProvider(sdktrace.WithBatcher(exporter), sdktrace.WithResource(described))
	t.Tracer = provider
	t.shutdowns = append(t.shutdowns, provider.Shutdown)
	return nil
}

// readers orders the making of readers, as autoexport keeps where metrics come from in a variable of its own.
var readers sync.Mutex

// exportMetrics has what the registry holds sent from time to time, under the same names as Prometheus reads there.
func (t *Telemetry) exportMetrics(ctx context.Context, described *resource.Resource) error {
	readers.Lock()
	defer readers.Unlock()
	autoexport.WithFallbackMetricProducer(func(context.Context) (metric.Producer, error) {
		return promproducer.NewMetricProducer(promproducer.WithGatherer(t.Registry)), nil
	})
	reader, err := autoexport.NewMetricReader(ctx)
	if err != nil {
		return refused("METRICS", err)
	}
	provider := metric.NewMeterProvider(metric.WithReader(reader), metric.WithResource(described))
	t.shutdowns = append(t.shutdowns, provider.Shutdown)
	return nil
}

// refused is err with what was asked for: the SDK does not say that.
func refused(signal string, err error) error {
	exporter, protocol := "OTEL_"+signal+"_EXPORTER", "OTEL_EXPORTER_OTLP_PROTOCOL"
	return fmt.Errorf("%s=%q with %s=%q: %w", exporter, os.Getenv(exporter), protocol, os.Getenv(protocol), err)
}

// asked reports whether a variable of the OpenTelemetry specification asks for a signal, TRACES or METRICS, to be exported.
func asked(environ []string, signal string) bool {
	exporter, endpoint := "", false
	for _, entry := range environ {
		key, value, _ := strings.Cut(entry, "=")
		switch {
		case key == "OTEL_SDK_DISABLED" && strings.EqualFold(value, "true"):
			return false
		case key == "OTEL_"+signal+"_EXPORTER":
			exporter = value
		case key == "OTEL_EXPORTER_OTLP_ENDPOINT" || key == "OTEL_EXPORTER_OTLP_"+signal+"_ENDPOINT":
			endpoint = endpoint || value != ""
		}
	}
	return exporter != "none" && (exporter != "" || endpoint)
}
