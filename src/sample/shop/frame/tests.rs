use super::*;

#[test]
fn a_route_knows_its_paths() {
    let items = Route::post("/carts/{id}/items");
    assert_eq!(items.id("/carts/a-1/items"), Some("a-1"));
    for other in ["/carts//items", "/carts/a/b/items", "/carts/a", "/carts/a/items/", "/items"] {
        assert_eq!(items.id(other), None, "{other}");
    }
    assert_eq!(Route::get("/").id("/"), Some(""));
    assert_eq!(Route::get("/").id("/x"), None);
}

#[tokio::test]
async fn a_collector_that_is_away_costs_spans_and_nothing_else() {
    let refused = "http://127.0.0.1:9";
    let settings = [("OTEL_EXPORTER_OTLP_ENDPOINT", refused)].into_iter().collect();
    let log = Log::new("web", Box::new(std::io::sink()));
    let shutdown = Shutdown::default();
    let frame = Frame::new("web", settings, log, 1000, false, &shutdown).unwrap();
    let span = || {
        let context = frame.sampler.start(None);
        span::Span::begin(context, None, curtain_otlp::trace::SpanKind::Server, "GET /".to_owned())
    };
    for _ in 0..600 {
        frame.end(span(), None);
    }
    let dropped = || frame.metrics.spans_dropped.load(std::sync::atomic::Ordering::Relaxed);
    assert!(dropped() >= 88, "what does not fit is dropped at once: {}", dropped());
    let all = async {
        while dropped() < 600 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), all)
        .await
        .expect("and the rest when it was refused");
}
