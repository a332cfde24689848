"""Sends one trace with the OpenTelemetry SDK, which reads from OTEL_ variables where to and what it is of.

Argument: grpc or http. Prints the trace's id once it was sent.
"""

import sys

from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

if sys.argv[1] == "grpc":
    from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
else:
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

provider = TracerProvider()
provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
tracer = provider.get_tracer("curtain-e2e")
with tracer.start_as_current_span("buy a moon", kind=trace.SpanKind.SERVER) as order:
    order.set_attribute("cart.items", 3)
    try:
        with tracer.start_as_current_span("charge a card", kind=trace.SpanKind.CLIENT):
            raise ValueError("the card is of paper")
    except ValueError:
        pass
    print(f"{order.get_span_context().trace_id:032x}", flush=True)
if not provider.force_flush(20_000):
    sys.exit("the spans were not sent within 20 s")
provider.shutdown()
