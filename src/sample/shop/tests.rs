//! Services in this process, with their upstreams, over real connections.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use curtain_otlp::{
    common::Value as Attribute,
    prost::Message as _,
    trace::{ExportTraceServiceRequest, Span, SpanKind, StatusCode},
};
use http::{Request, header};
use http_body_util::{BodyExt as _, Full};
use serde_json::Value;
use tokio::{sync::watch, time::timeout};

use super::*;

const SOON: Duration = Duration::from_secs(20);

#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).write(bytes)
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Lines {
    fn all(&self) -> Vec<Value> {
        let bytes = self.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let lines = String::from_utf8(bytes).unwrap();
        lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

/// The shop without its visitors.
struct Shop {
    addresses: BTreeMap<&'static str, SocketAddr>,
    logs: BTreeMap<&'static str, Lines>,
    shutdown: Shutdown,
    _folder: tempfile::TempDir,
}

impl Shop {
    async fn open() -> Self {
        Self::with(&[]).await
    }

    /// With other settings: service, variable, value.
    async fn with(changes: &[(&str, &str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut listeners = BTreeMap::new();
        for name in SERVICES.into_iter().chain(["tls"]).filter(|name| *name != "load") {
            listeners.insert(name, TcpListener::bind("127.0.0.1:0").await.unwrap());
        }
        let addresses: BTreeMap<_, _> =
            listeners.iter().map(|(name, one)| (*name, one.local_addr().unwrap())).collect();
        let mut common: BTreeMap<String, String> = addresses
            .iter()
            .map(|(name, at)| {
                let upper = name.to_uppercase().replace('-', "_");
                (format!("{upper}_ADDRESS"), format!("http://{at}"))
            })
            .collect();
        common.insert("PAYMENT_ADDRESS".into(), addresses["tls"].to_string());
        common.insert("PAYMENT_AUTHORITY_ADDRESS".into(), addresses["payment"].to_string());
        let file = folder.path().join("carts").display().to_string();
        common.insert("CART_FILE".into(), file);
        let (shutdown, mut logs) = (Shutdown::default(), BTreeMap::new());
        let mut tls = listeners.remove("tls");
        for (name, listener) in listeners {
            let mut settings = common.clone();
            for (_, variable, value) in
                changes.iter().filter(|change| change.0 == name || change.0 == "all")
            {
                settings.insert((*variable).into(), (*value).into());
            }
            let lines = Lines::default();
            logs.insert(name, lines.clone());
            let config = Config {
                service: name.to_owned(),
                listen: addresses[name],
                listen_tls: addresses["tls"],
                settings: settings.into_iter().collect(),
                log: Box::new(lines),
            };
            let tls = if name == "payment" { tls.take() } else { None };
            tokio::spawn(serve_on(config, listener, tls, shutdown.clone()));
        }
        Self { addresses, logs, shutdown, _folder: folder }
    }

    async fn ask(&self, service: &str, method: &str, path: &str, body: &str) -> (u16, String) {
        let request = Request::builder()
            .method(method)
            .uri(format!("http://{}{path}", self.addresses[service]))
            .header(header::COOKIE, "other=1; shop=visitor-1")
            .body(Full::from(body.to_owned()))
            .unwrap();
        let answer = timeout(SOON, curtain_role::http_client().request(request)).await;
        let answer = answer.unwrap().unwrap();
        let status = answer.status().as_u16();
        let body = answer.into_body().collect().await.unwrap().to_bytes();
        (status, String::from_utf8(body.to_vec()).unwrap())
    }

    async fn fill(&self) {
        let (status, body) = self.ask("web", "POST", "/cart", "product=moon&quantity=3").await;
        assert_eq!(status, 303, "{body}");
    }

    async fn buy(&self) -> (u16, String) {
        self.fill().await;
        let form = "email=a%40example.org&address=Stage+door&card=4242+4242+4242+4242";
        self.ask("web", "POST", "/checkout", form).await
    }

    /// The errors that a service logged.
    fn errors(&self, service: &str) -> Vec<String> {
        let lines = self.logs[service].all();
        let errors = lines.iter().filter(|line| line["level"] == "error");
        errors.map(|line| line["message"].as_str().unwrap().to_owned()).collect()
    }
}

impl Drop for Shop {
    fn drop(&mut self) {
        self.shutdown.trigger();
    }
}

/// A collector that keeps what it gets.
async fn collector() -> (String, watch::Receiver<Vec<Span>>) {
    let (keep, kept) = watch::channel(Vec::new());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let keep = keep.clone();
            let service =
                hyper::service::service_fn(move |request: Request<hyper::body::Incoming>| {
                    let keep = keep.clone();
                    async move {
                        assert_eq!(request.uri().path(), "/v1/traces");
                        let bytes = request.into_body().collect().await.unwrap().to_bytes();
                        let export = ExportTraceServiceRequest::decode(bytes).unwrap();
                        for resource in export.resource_spans {
                            let scopes = resource.scope_spans.into_iter();
                            let spans: Vec<_> = scopes.flat_map(|scope| scope.spans).collect();
                            keep.send_modify(|all| all.extend(spans));
                        }
                        Ok::<_, std::convert::Infallible>(http::Response::new(
                            Full::<bytes::Bytes>::default(),
                        ))
                    }
                });
            tokio::spawn(
                hyper::server::conn::http1::Builder::new()
                    .serve_connection(hyper_util::rt::TokioIo::new(stream), service),
            );
        }
    });
    (url, kept)
}

#[tokio::test]
async fn a_visitor_looks_around_and_buys() {
    let shop = Shop::open().await;
    let (status, home) = shop.ask("web", "GET", "/", "").await;
    assert_eq!(status, 200, "{home}");
    assert!(home.contains("Paper moon") && home.contains("€ 42.00") && home.contains("500 left"));
    let (status, product) = shop.ask("web", "GET", "/products/moon", "").await;
    assert!(status == 200 && product.contains("matinees"), "{product}");
    let (status, placed) = shop.buy().await;
    assert_eq!(status, 200, "{placed}");
    // 3 × 42.00, 19 % tax, 4.90 for sending.
    assert!(placed.contains("€ 154.84") && placed.contains("SHIP-"), "{placed}");
    let (_, cart) = shop.ask("web", "GET", "/cart", "").await;
    assert!(cart.contains("Nothing yet"), "{cart}");
    let (_, home) = shop.ask("web", "GET", "/", "").await;
    assert!(home.contains("497 left"), "what was bought is gone: {home}");
    for service in shop.logs.keys() {
        assert_eq!(shop.errors(service), Vec::<String>::new(), "{service}");
    }
    let lines = shop.logs["web"].all();
    let line = lines.iter().find(|line| line["route"] == "/checkout").unwrap();
    assert_eq!((&line["level"], &line["status"]), (&json!("info"), &json!(200)));
    assert_eq!(line["trace_id"].as_str().unwrap().len(), 32, "{line}");
    let (_, metrics) = shop.ask("checkout", "GET", "/metrics", "").await;
    let counted = "http_requests_total{route=\"/orders\",method=\"POST\",status=\"200\"} 1";
    assert!(metrics.contains(counted), "{metrics}");
    let (status, _) = shop.ask("mail", "GET", "/healthz", "").await;
    assert_eq!(status, 200);
}

#[tokio::test]
async fn a_visitors_own_mistakes_are_said_and_are_no_errors() {
    let shop = Shop::open().await;
    let form = "email=a%40example.org&address=x&card=4242";
    assert_eq!(shop.ask("web", "POST", "/checkout", form).await.0, 409, "the cart is empty");
    shop.fill().await;
    let (status, page) = shop.ask("web", "POST", "/checkout", form).await;
    assert!(status == 400 && page.contains("number is not valid"), "{status} {page}");
    assert_eq!(shop.ask("web", "POST", "/cart", "product=elephant").await.0, 404);
    assert_eq!(shop.ask("web", "GET", "/nowhere", "").await.0, 404);
    assert_eq!(shop.ask("web", "DELETE", "/cart", "").await.0, 405);
    assert_eq!(shop.errors("checkout"), Vec::<String>::new());
    let (_, home) = shop.ask("web", "GET", "/", "").await;
    assert!(!home.contains("497 left"), "what was set aside for a failed order is back");
}

#[tokio::test]
async fn one_trace_goes_through_all_services() {
    let (url, mut spans) = collector().await;
    let shop = Shop::with(&[("all", "OTEL_EXPORTER_OTLP_ENDPOINT", &url)]).await;
    shop.fill().await;
    let form = "email=a%40example.org&address=Stage+door&card=4242424242424242";
    let trace = "0af7651916cd43dd8448eb211c80319c";
    let request = Request::post(format!("http://{}/checkout", shop.addresses["web"]))
        .header(header::COOKIE, "shop=visitor-1")
        .header("traceparent", format!("00-{trace}-b7ad6b7169203331-01"))
        .body(Full::from(form))
        .unwrap();
    assert_eq!(curtain_role::http_client().request(request).await.unwrap().status(), 200);
    let ours = |all: &Vec<Span>| {
        let id = |span: &Span| span.trace_id.iter().map(|b| format!("{b:02x}")).collect::<String>();
        all.iter().filter(|span| id(span) == trace).cloned().collect::<Vec<_>>()
    };
    let is_whole = |all: &Vec<Span>| {
        let names: Vec<_> =
            ours(all).into_iter().map(|span| (span.name.clone(), span.kind())).collect();
        ["shop.Payment/Charge", "POST /messages", "POST /orders", "DELETE /keys/{id}"]
            .iter()
            .all(|name| names.contains(&((*name).to_owned(), SpanKind::Server)))
            && names.contains(&("POST /checkout".to_owned(), SpanKind::Server))
    };
    timeout(SOON, spans.wait_for(is_whole)).await.unwrap().unwrap();
    let all = ours(&spans.borrow());
    for span in all.iter().filter(|span| span.name != "POST /checkout") {
        let parent = all.iter().find(|one| one.span_id == span.parent_span_id);
        assert!(parent.is_some(), "{} has its parent in the trace", span.name);
    }
    let charge = all.iter().find(|span| span.name == "shop.Payment/Charge").unwrap();
    let has = |key: &str, value: Attribute| {
        charge
            .attributes
            .iter()
            .any(|a| a.key == key && a.value.as_ref().unwrap().value == Some(value.clone()))
    };
    assert!(has("rpc.system", "grpc".into()) && has("rpc.service", "shop.Payment".into()));
    assert!(has("rpc.grpc.status_code", 0_i64.into()));
}

#[tokio::test]
async fn a_bad_setting_fails_orders_and_is_named() {
    let (url, mut spans) = collector().await;
    let shop = Shop::with(&[
        ("checkout", checkout::TAX, "nineteen"),
        ("checkout", "OTEL_EXPORTER_OTLP_ENDPOINT", &url),
    ])
    .await;
    let (status, page) = shop.buy().await;
    assert_eq!(status, 502, "{page}");
    let errors = shop.errors("checkout");
    assert!(errors[0].contains("TAX_PERCENT is \"nineteen\""), "{errors:?}");
    let failed = |all: &Vec<Span>| {
        all.iter().any(|span| {
            span.status.as_ref().is_some_and(|status| {
                status.code() == StatusCode::Error && status.message.contains("TAX_PERCENT")
            })
        })
    };
    timeout(SOON, spans.wait_for(failed)).await.unwrap().unwrap();
}

#[tokio::test]
async fn the_same_setting_is_bad_for_every_service() {
    let shop = Shop::with(&[("stock", frame::TIMEOUT, "soon")]).await;
    let (status, page) = shop.buy().await;
    assert!(status == 502 && page.contains("REQUEST_TIMEOUT_MS is"), "{status} {page}");
    let (status, home) = shop.ask("web", "GET", "/", "").await;
    assert!(status == 200 && !home.contains(" left"), "the shop still shows what it has");
}

#[tokio::test]
async fn a_wrong_address_is_named_by_whoever_uses_it() {
    let shop = Shop::with(&[("checkout", "UPSTREAM_CART", "127.0.0.1:9")]).await;
    let (status, _) = shop.buy().await;
    assert_eq!(status, 503);
    let errors = shop.errors("checkout");
    assert!(
        errors[0].contains("cannot reach cart at 127.0.0.1:9") && errors[0].contains("refused"),
        "{errors:?}"
    );
}

#[tokio::test]
async fn every_so_many_requests_fail() {
    let shop = Shop::with(&[("catalog", frame::faults::ERROR_EVERY, "2")]).await;
    let mut statuses = Vec::new();
    for _ in 0..4 {
        statuses.push(shop.ask("web", "GET", "/", "").await.0);
    }
    assert_eq!(statuses, [200, 502, 200, 502]);
}

#[tokio::test]
async fn who_is_late_is_named() {
    let shop =
        Shop::with(&[("prices", frame::faults::LATENCY, "60000"), ("web", frame::TIMEOUT, "100")])
            .await;
    let (status, page) = shop.ask("web", "GET", "/", "").await;
    assert!(status == 504 && page.contains("prices did not answer within 100 ms"), "{page}");
}

#[tokio::test]
async fn a_full_queue_fails_orders_and_undoes_them() {
    let shop = Shop::with(&[("mail", mail::WORKERS, "0"), ("mail", mail::QUEUE, "2")]).await;
    assert_eq!([shop.buy().await.0, shop.buy().await.0], [200, 200]);
    let (status, page) = shop.buy().await;
    assert!(status == 503 && page.contains("the queue is full: 2 of 2"), "{status} {page}");
    let (_, home) = shop.ask("web", "GET", "/", "").await;
    assert!(home.contains("494 left"), "only what was sold is gone: {home}");
    let (_, metrics) = shop.ask("mail", "GET", "/metrics", "").await;
    assert!(metrics.contains("\nqueue_length 2\n"), "{metrics}");
}

#[tokio::test]
async fn an_expired_certificate_is_said_to_be_that() {
    let shop = Shop::with(&[("payment", CERTIFICATE_DAYS, "-1")]).await;
    let (status, _) = shop.buy().await;
    assert_eq!(status, 503);
    let errors = shop.errors("checkout");
    assert!(
        errors[0].contains("cannot reach payment") && errors[0].contains("expired"),
        "{errors:?}"
    );
}

#[tokio::test]
async fn a_crash_ends_the_service_with_its_reason() {
    let run_one = async |variable: &str, value: &str| {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let config = Config {
            service: "shipping".to_owned(),
            listen: listener.local_addr().unwrap(),
            listen_tls: listener.local_addr().unwrap(),
            settings: [(variable, value)].into_iter().collect(),
            log: Box::new(io::sink()),
        };
        timeout(SOON, serve_on(config, listener, None, Shutdown::default())).await.unwrap()
    };
    let ended = run_one(frame::faults::CRASH, "5").await.unwrap_err().to_string();
    assert!(ended.contains(frame::faults::CRASH), "{ended}");
    let ended = run_one(frame::faults::CRASH, "never").await.unwrap_err().to_string();
    assert!(ended.contains("bad configuration"), "{ended}");
}

#[tokio::test]
async fn a_shop_is_open_when_every_service_knows_where_the_others_are() {
    let waits = async |shop: &Shop, service: &str| {
        let (status, body) = shop.ask(service, "GET", "/open", "").await;
        assert_eq!(status, 200);
        body.trim().to_owned()
    };
    let shop = Shop::open().await;
    assert_eq!(waits(&shop, "web").await, r#"{"waitsFor":[]}"#);
    let lost = Shop::with(&[("cart", "CATALOG_ADDRESS", "")]).await;
    let why = "bad configuration: neither UPSTREAM_CATALOG nor CATALOG_ADDRESS is set";
    let body = waits(&lost, "web").await;
    for path in ["cart: catalog: ", "checkout: cart: catalog: "] {
        assert!(body.contains(&format!("\"{path}{why}\"")), "{body}");
    }
    assert_eq!(waits(&lost, "cart-store").await, r#"{"waitsFor":[]}"#);
}

#[tokio::test]
async fn visitors_go_through_all_of_the_shop() {
    let shop = Shop::open().await;
    let web = shop.addresses["web"].to_string();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let config = Config {
        service: "load".to_owned(),
        listen: listener.local_addr().unwrap(),
        listen_tls: listener.local_addr().unwrap(),
        settings: [("WEB_ADDRESS", web.as_str()), (load::RATE, "1000")].into_iter().collect(),
        log: Box::new(io::sink()),
    };
    tokio::spawn(serve_on(config, listener, None, shop.shutdown.clone()));
    let sold = async {
        while !shop.logs["mail"].all().iter().any(|line| line["message"] == "mail sent") {
            tokio::task::yield_now().await;
        }
    };
    timeout(SOON, sold).await.unwrap();
}
