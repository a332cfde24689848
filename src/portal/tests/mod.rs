//! The portal as a browser sees it, before a server that speaks the API's wire format.

mod breaking;
mod deploy;
mod incidents;
mod releases;
mod removal;
mod telemetry;
mod wire;

use crate::server::{Config, router};
use axum::Router;
use axum::body::Body;
use curtain_role::{Instance, Shutdown};
use http::{Request, Response, StatusCode, header};
use http_body_util::BodyExt as _;
use serde_json::json;
use std::time::Duration;
use tower::ServiceExt as _;
use wire::Wire;

const GREETER: &str = "/namespaces/default/projects/shop/components/greeter";

/// A browser before a portal before the wire server.
struct Browser {
    app: Router,
    wire: Wire,
    cookie: String,
}

impl Browser {
    async fn new() -> Browser {
        let wire = Wire::new();
        let url = wire.serve().await;
        let config = Config {
            bind: ([127, 0, 0, 1], 0).into(),
            health: ([127, 0, 0, 1], 0).into(),
            api_url: url.clone(),
            observer_url: url.clone(),
            sre_url: url,
            instance: Instance::new("test"),
            allowed_hosts: Vec::new(),
        };
        let app = router(&config, Shutdown::on_signals().unwrap());
        Browser { app, wire, cookie: String::new() }
    }

    async fn signed_in() -> Browser {
        let mut browser = Browser::new().await;
        let answer = browser.get("/login?code=good").await;
        let cookie = answer.headers()[header::SET_COOKIE].to_str().unwrap();
        browser.cookie = cookie.split(';').next().unwrap().to_owned();
        browser
    }

    async fn send(&self, mut request: Request<Body>) -> Response<Body> {
        let headers = request.headers_mut();
        headers.entry(header::HOST).or_insert("localhost:8080".parse().unwrap());
        if !self.cookie.is_empty() {
            headers.insert(header::COOKIE, self.cookie.parse().unwrap());
        }
        self.app.clone().oneshot(request).await.unwrap()
    }

    async fn get(&self, path: &str) -> Response<Body> {
        self.send(Request::get(path).body(Body::empty()).unwrap()).await
    }

    async fn page(&self, path: &str) -> String {
        let answer = self.get(path).await;
        assert_eq!(answer.status(), StatusCode::OK, "{path}");
        text(answer).await
    }

    async fn post(&self, path: &str, form: &str, origin: Option<&str>) -> Response<Body> {
        let mut request =
            Request::post(path).header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
        if let Some(origin) = origin {
            request = request.header(header::ORIGIN, origin);
        }
        self.send(request.body(Body::from(form.to_owned())).unwrap()).await
    }

    /// Submits a form of one of our pages.
    async fn submit(&self, path: &str, form: &str) -> Response<Body> {
        let page = self.page(GREETER).await;
        let key = page.split("name=\"form_key\" value=\"").nth(1).unwrap();
        let key = key.split('"').next().unwrap();
        self.post(path, &format!("form_key={key}&{form}"), Some("http://localhost:8080")).await
    }
}

async fn text(answer: Response<Body>) -> String {
    String::from_utf8(answer.into_body().collect().await.unwrap().to_bytes().to_vec()).unwrap()
}

fn location(answer: &Response<Body>) -> &str {
    answer.headers()[header::LOCATION].to_str().unwrap()
}

/// The next event of a stream, `name: data`.
async fn event(body: &mut Body) -> String {
    let mut seen = String::new();
    let wait = async {
        while !seen.contains("\n\n") {
            let frame = body.frame().await.expect("the stream ended").unwrap();
            let Ok(data) = frame.into_data() else { continue };
            seen.push_str(std::str::from_utf8(&data).unwrap());
            if seen.starts_with(':') {
                seen.clear();
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(5), wait).await.expect("no event within 5 s");
    seen
}

#[tokio::test]
async fn strangers_sign_in_first() {
    let browser = Browser::new().await;
    let answer = browser.get("/namespaces/default/projects/shop").await;
    assert_eq!(answer.status(), StatusCode::SEE_OTHER);
    assert_eq!(location(&answer), "/login?next=%2Fnamespaces%2Fdefault%2Fprojects%2Fshop");
    let login = browser.page("/login?next=%2Fnamespaces%2Fdefault%2Fprojects%2Fshop").await;
    assert!(login.contains("value=\"/namespaces/default/projects/shop\""));
    assert!(login.contains("<code>curtain open --name test</code>"));
}

#[tokio::test]
async fn a_one_time_link_signs_in() {
    let browser = Browser::signed_in().await;
    assert!(browser.cookie.starts_with("curtain_test_session="));
    let page = browser.page("/").await;
    assert!(page.contains("Ada Admin") && page.contains("Shop"));
    let used = Browser::new().await.get("/login?code=used").await;
    assert_eq!(used.status(), StatusCode::UNAUTHORIZED);
    assert!(used.headers().get(header::SET_COOKIE).is_none());
}

#[tokio::test]
async fn a_password_signs_in_from_our_own_page_only() {
    let browser = Browser::new().await;
    let form = "username=admin%40openchoreo.dev&password=right&next=%2Fenvironments";
    let answer = browser.post("/login", form, Some("http://localhost:8080")).await;
    assert_eq!((answer.status(), location(&answer)), (StatusCode::SEE_OTHER, "/environments"));
    let cookie = answer.headers()[header::SET_COOKIE].to_str().unwrap();
    assert!(cookie.contains("HttpOnly; SameSite=Strict"), "{cookie}");
    // Another application on localhost differs in the port.
    let other = browser.post("/login", form, Some("http://localhost:3000")).await;
    assert_eq!(other.status(), StatusCode::FORBIDDEN);
    assert_eq!(browser.post("/login", form, None).await.status(), StatusCode::FORBIDDEN);
    let wrong = "username=a&password=b";
    let answer = browser.post("/login", wrong, Some("http://localhost:8080")).await;
    assert_eq!(answer.status(), StatusCode::UNAUTHORIZED);
    assert!(text(answer).await.contains("unknown user or wrong password"));
}

#[tokio::test]
async fn answers_are_locked_down() {
    let browser = Browser::signed_in().await;
    let answer = browser.get("/").await;
    let policy = answer.headers()[header::CONTENT_SECURITY_POLICY].to_str().unwrap();
    assert!(policy.contains("default-src 'none'") && !policy.contains("unsafe"), "{policy}");
    assert_eq!(answer.headers()[header::CACHE_CONTROL], "no-store");
    let page = text(answer).await;
    assert!(!page.contains("style=") && !page.contains("onclick"));
    assert!(!page.contains("https://") && !page.contains("<script>"));
    let rebound = Request::get("/").header(header::HOST, "evil.example");
    let answer = browser.send(rebound.body(Body::empty()).unwrap()).await;
    assert_eq!(answer.status(), StatusCode::FORBIDDEN);
    let style = page.split("href=\"/assets/").nth(2).unwrap().split('"').next().unwrap();
    let answer = browser.get(&format!("/assets/{style}")).await;
    assert!(answer.headers()[header::CACHE_CONTROL].to_str().unwrap().contains("immutable"));
}

#[tokio::test]
async fn projects_show_how_they_are_doing_for_one_question_a_namespace() {
    let browser = Browser::signed_in().await;
    let shop = "/namespaces/default/projects/shop";
    let link = format!("<a href=\"{shop}/incidents\">2 open incidents</a>");
    for narrow in [false, true] {
        *browser.wire.narrow.lock().unwrap() = narrow;
        browser.wire.asked.lock().unwrap().clear();
        let page = browser.page("/").await;
        let card = page.split(&format!("<a href=\"{shop}\">Shop</a>")).nth(1).unwrap();
        let card = card.split("</li>").next().unwrap();
        assert!(card.contains("3 components") && card.contains("2 not healthy"), "{card}");
        assert!(card.contains(&link), "{card}");
        assert!(page.contains("0 components"), "{page}");
        let asked = std::mem::take(&mut *browser.wire.asked.lock().unwrap());
        let asked = asked.iter().filter(|path| path.ends_with("/incidents/query")).count();
        // Of a project without components, nobody is asked.
        assert_eq!(asked, if narrow { 2 } else { 1 });
    }
    *browser.wire.calm.lock().unwrap() = true;
    assert!(browser.page("/").await.contains("No open incidents"));
}

#[tokio::test]
async fn a_project_shows_its_components_everywhere() {
    let browser = Browser::signed_in().await;
    let page = browser.page("/namespaces/default/projects/shop").await;
    for words in
        ["Greeter", "Storefront", "mailer", "Degraded", "Progressing", "Failing", "Not deployed"]
    {
        assert!(page.contains(words), "{words}");
    }
    let empty = browser.page("/namespaces/default/projects/empty").await;
    assert!(empty.contains("<code>curtain demo deploy greeter --name test</code>"));
    assert!(empty.contains("$(curtain kubeconfig --name test)"));
    let missing = browser.get("/namespaces/default/projects/nope").await;
    assert_eq!(missing.status(), StatusCode::NOT_FOUND);
    for (path, said) in [
        ("nope", "there is no project &quot;nope&quot;; there are: default, &lt;shop&gt;"),
        ("nope/incidents", "there is no project &quot;nope&quot;; there are: default"),
        ("nope/components/greeter", "there is no project &quot;nope&quot;; there are: default"),
        (
            "shop/components/greter/logs",
            "there is no component &quot;greter&quot; in project shop; there are: greeter, mailer",
        ),
    ] {
        let missing = browser.get(&format!("/namespaces/default/projects/{path}")).await;
        assert_eq!(missing.status(), StatusCode::NOT_FOUND);
        let missing = text(missing).await;
        assert!(missing.contains(said), "{path}: {missing}");
    }
}

#[tokio::test]
async fn a_project_shows_what_goes_on_in_it_live() {
    let browser = Browser::signed_in().await;
    let shop = "/namespaces/default/projects/shop";
    let page = browser.page(shop).await;
    assert!(page.contains("No requests were seen in the last minute."), "{page}");
    let (above, live) = page.split_once("data-live=").unwrap();
    for action in [format!("{shop}/deploy\">Deploy yours"), "/agents#connect\">Connect".to_owned()]
    {
        let button = format!("<a class=\"button\" href=\"{action}");
        assert!(above.contains(&button) && !live.contains(&button), "{button}: {page}");
    }
    assert!(browser.page("/agents").await.contains("id=\"connect\""));
    assert!(page.contains("claude-1</a> · 4 reads · 0 writes"), "{page}");
    assert!(page.contains("2 open incidents<") && !page.contains("was slow"), "{page}");
    assert!(page.contains("half of &lt;b&gt;all&lt;/b&gt; requests fail"), "{page}");
    assert!(page.contains(&format!("<a href=\"{shop}?env=development\" aria-current=\"true\">")));
    assert!(
        page.contains("aria-label=\"greeter, no requests, degraded: an incident is open\""),
        "components are there: {page}"
    );
    assert!(page.len() < 150_000, "{} bytes", page.len());

    let live = page.split("data-live=\"").nth(1).unwrap().split('"').next().unwrap();
    let mut body = browser.get(live).await.into_body();
    assert!(event(&mut body).await.contains("No requests were seen"));
    let [from, to] =
        ["storefront", "greeter"].map(|name| json!({"kind": "component", "component": name}));
    let metrics =
        json!({"requestCount": 60, "failedRequestCount": 30, "unsuccessfulRequestCount": 30});
    let mut node = to.clone();
    node["metrics"] = metrics.clone();
    *browser.wire.topology.lock().unwrap() =
        json!({"nodes": [node], "edges": [{"source": from, "target": to, "metrics": metrics}]});
    browser.wire.asked.lock().unwrap().clear();
    let later = event(&mut body).await;
    let mut asked = std::mem::take(&mut *browser.wire.asked.lock().unwrap());
    asked.sort();
    let reads = ["/audit/summary", "/rca-agent/reports"].map(|path| format!("/api/v1{path}"));
    let queries = ["/incidents/query", "/metrics/runtime-topology"];
    let queries = queries.map(|query| format!("/api/v1alpha1{query}"));
    // Staging is asked about, too, as something runs there; in production, nothing does.
    let queries = [queries.to_vec(), vec![queries[1].clone()]].concat();
    assert_eq!(asked, [reads.to_vec(), queries].concat());
    assert!(later.contains("greeter, 1.0 req/s · 50 % failed, failing: 50 %"), "{later}");
    assert!(
        later.contains("Calls as a table") && later.contains("class=\"flow fails\""),
        "{later}"
    );

    // Where no incident is open, the SRE agent is not asked.
    *browser.wire.calm.lock().unwrap() = true;
    browser.wire.asked.lock().unwrap().clear();
    let page = browser.page(shop).await;
    assert!(page.contains("None.") && !page.contains("is not known"), "{page}");
    let asked = std::mem::take(&mut *browser.wire.asked.lock().unwrap());
    assert!(!asked.iter().any(|path| path.contains("reports")), "{asked:?}");

    // Another environment has its own traffic, and what one may not see is said.
    let staging = browser.page(&format!("{shop}?env=staging")).await;
    assert!(staging.contains("No requests were seen") && staging.contains("/live?env=staging"));
}

#[tokio::test]
async fn signing_in_leads_to_the_one_project_in_use() {
    let browser = Browser::signed_in().await;
    let entering = browser.page("/login?code=good").await;
    assert!(entering.contains("0;url=/namespaces/default/projects/shop"), "{entering}");
    let elsewhere = browser.page("/login?code=good&next=%2Fagents").await;
    assert!(elsewhere.contains("0;url=/agents"), "{elsewhere}");
    let component =
        json!({"metadata": {"name": "other"}, "spec": {"owner": {"projectName": "empty"}}});
    browser.wire.add("/namespaces/default/components", component);
    let several = browser.page("/login?code=good").await;
    assert!(several.contains("0;url=/\""), "{several}");
}

#[tokio::test]
async fn a_component_shows_its_lanes_in_order() {
    let browser = Browser::signed_in().await;
    let page = browser.page(GREETER).await;
    let places: Vec<usize> = ["lane-development", "lane-staging", "lane-production"]
        .iter()
        .map(|lane| page.find(&format!("id=\"{lane}\"")).unwrap())
        .collect();
    assert!(places.is_sorted());
    // It is deployed, and an incident is open: the one word does not stand for the other.
    let staging = page.split("id=\"lane-staging\"").nth(1).unwrap();
    let development = page.split("id=\"lane-development\"").nth(1).unwrap();
    let development = development.split("</article>").next().unwrap();
    assert!(development.contains("Degraded</span>") && development.contains("<dd>Deployed</dd>"));
    assert!(development.contains("An incident is open.") && staging.contains("Progressing</span>"));
    let button = "type=\"submit\" aria-describedby=\"held-staging\">Promote to Staging";
    assert!(development.contains(button) && !development.contains("primary"), "{development}");
    assert!(development.contains("In Development it is degraded: an incident is open."));
    *browser.wire.calm.lock().unwrap() = true;
    let calm = browser.page(GREETER).await;
    let button = "<button class=\"primary\" type=\"submit\">Promote to Staging";
    assert!(calm.contains("Healthy</span>") && calm.contains(button), "{calm}");
    assert!(page.contains("http://localhost:19080/@development-default/greeter-http"));
    assert!(page.contains("Promote to Staging") && !page.contains("port-forward"));
    browser.wire.change_binding("greeter-development", |binding| {
        binding["status"]["endpoints"][0]["externalURLs"].take();
    });
    let inner = browser.page(GREETER).await;
    let namespace = "dp-default-shop-development-276893d5";
    let forward = format!(" -n {namespace} port-forward service/greeter :80</code>");
    let development = inner.split("id=\"lane-development\"").nth(1).unwrap();
    let development = development.split("</article>").next().unwrap();
    assert!(development.contains("greeter.<wbr>") && development.contains(&forward), "{inner}");
    browser.wire.denied.lock().unwrap().push("default/staging".to_owned());
    let page = browser.page(GREETER).await;
    assert!(page.contains("you need releasebinding:update there"));
    let waiting = browser.page("/namespaces/default/projects/shop/components/mailer").await;
    assert!(waiting.contains("no Workload yet") && waiting.contains("no Workload names this"));
    let elsewhere = browser.get("/namespaces/default/projects/default/components/greeter").await;
    assert_eq!(elsewhere.status(), StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn what_is_set_for_an_environment_alone_is_shown_there() {
    let browser = Browser::signed_in().await;
    assert!(!browser.page(GREETER).await.contains("Overrides"));
    let secret =
        json!({"key": "TOKEN", "valueFrom": {"secretKeyRef": {"name": "db", "key": "token"}}});
    let env = json!([{"key": "LOG_LEVEL", "value": "<trace>"}, secret]);
    browser.wire.change_binding("greeter-staging", |binding| {
        binding["spec"]["workloadOverrides"] = json!({"container": {"env": env}});
        binding["spec"]["componentTypeEnvironmentConfigs"] = json!({"replicas": 3});
    });
    let page = browser.page(GREETER).await;
    let staging = page.split("id=\"lane-staging\"").nth(1).unwrap();
    let staging = staging.split("</article>").next().unwrap();
    for words in [
        "<code>LOG_LEVEL=</code><span class=\"value\">&lt;trace&gt;</span><span class=\"dim\"> (was info)",
        "<code>TOKEN=</code><span class=\"value\">secret db, key token</span><span class=\"dim\"> (was not set)",
        "<code>replicas=</code><span class=\"value\">3</span>",
    ] {
        assert!(staging.contains(words), "{words}: {staging}");
    }
    assert_eq!(page.matches("Overrides").count(), 1, "{page}");
}

#[tokio::test]
async fn promotion_follows_the_pipeline() {
    let browser = Browser::signed_in().await;
    let path = format!("{GREETER}/promote");
    let answer = browser.submit(&path, "from=development&to=staging").await;
    assert_eq!((answer.status(), location(&answer)), (StatusCode::SEE_OTHER, GREETER));
    let answer = browser.submit(&path, "from=staging&to=production").await;
    assert_eq!(answer.status(), StatusCode::SEE_OTHER);
    let written = browser.wire.written.lock().unwrap().clone();
    let (method, at, body, version) = &written[0];
    assert_eq!((method.as_str(), version.as_deref()), ("PUT", Some("\"7\"")));
    assert_eq!(at, "/namespaces/default/releasebindings/greeter-staging");
    assert_eq!(body["spec"]["releaseName"], "greeter-579d6569c6");
    assert!(body.get("status").is_none());
    let (method, _, body, _) = &written[1];
    assert_eq!(method, "POST");
    assert_eq!(body["metadata"]["name"], "greeter-production");
    assert_eq!(
        body["spec"],
        json!({
            "owner": {"projectName": "shop", "componentName": "greeter"},
            "environment": "production",
            "releaseName": "greeter-4bdf6c7h2k",
        })
    );
    let skipped = browser.submit(&path, "from=development&to=production").await;
    assert_eq!(skipped.status(), StatusCode::UNPROCESSABLE_ENTITY);
    let forged = browser
        .post(&path, "form_key=x&from=development&to=staging", Some("http://localhost:8080"))
        .await;
    assert_eq!(forged.status(), StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn status_is_live() {
    let browser = Browser::signed_in().await;
    let mut body = browser.get(&format!("{GREETER}/live")).await.into_body();
    let first = event(&mut body).await;
    assert!(first.starts_with("event: replace") && first.contains("Progressing"), "{first}");
    browser.wire.change_binding("greeter-staging", |binding| {
        binding["status"]["conditions"][0] = json!({"type": "Ready", "status": "True"});
    });
    let second = event(&mut body).await;
    assert!(second.starts_with("event: replace") && !second.contains("Progressing"), "{second}");
    *browser.wire.expired.lock().unwrap() = true;
    browser.wire.change_binding("greeter-staging", |binding| {
        binding["spec"]["releaseName"] = json!("another");
    });
    assert!(event(&mut body).await.starts_with("event: end"));
}

#[tokio::test]
async fn logs_go_on_live() {
    let browser = Browser::signed_in().await;
    // The fixture's lines are old: the page asks for a day, so bring them into it.
    let now = jiff::Timestamp::now();
    for (line, age) in browser.wire.logs.lock().unwrap().iter_mut().zip((1..=7).rev()) {
        let time = now.checked_sub(jiff::SignedDuration::from_secs(age)).unwrap();
        line["timestamp"] = json!(time.to_string());
    }
    let page = browser.page(&format!("{GREETER}/logs?env=development")).await;
    assert!(page.contains("listening on :9090") && page.contains("&lt;nobody listens&gt;"));
    let filtered = browser.page(&format!("{GREETER}/logs?env=development&q=Alice")).await;
    assert!(filtered.contains("cache miss") && !filtered.contains("listening on"));

    let component = browser.page(GREETER).await;
    assert!(component.contains("Logs in Development") && component.contains("cache miss"));

    let live = page.split("data-follow=\"").nth(1).unwrap().split('"').next().unwrap();
    let mut body = browser.get(&live.replace("&amp;", "&")).await.into_body();
    let entry = json!({"timestamp": jiff::Timestamp::now().to_string(), "level": "INFO",
        "log": "fresh\nline", "metadata": {"podName": "greeter-0"}});
    browser.wire.logs.lock().unwrap().push(entry);
    let appended = event(&mut body).await;
    assert!(appended.starts_with("event: append") && appended.contains("fresh⏎line"), "{appended}");
    assert!(!appended.contains("listening on"), "{appended}");

    // A browser that comes back tells what it got last, and gets what is newer.
    let id = appended.lines().find_map(|line| line.strip_prefix("id: ")).expect("an id").to_owned();
    let entry = json!({"timestamp": jiff::Timestamp::now().to_string(), "level": "INFO",
        "log": "newer", "metadata": {"podName": "greeter-0"}});
    browser.wire.logs.lock().unwrap().push(entry);
    let again = Request::get(live.replace("&amp;", "&")).header("last-event-id", id);
    let mut body = browser.send(again.body(Body::empty()).unwrap()).await.into_body();
    let resumed = event(&mut body).await;
    assert!(resumed.contains("newer") && !resumed.contains("fresh"), "{resumed}");
}

#[tokio::test]
async fn a_live_part_without_a_session_leads_to_the_sign_in() {
    let browser = Browser::new().await;
    let request = Request::get(format!("{GREETER}/live")).header("accept", "text/event-stream");
    let answer = browser.send(request.body(Body::empty()).unwrap()).await;
    assert_eq!(answer.headers()[header::CONTENT_TYPE], "text/event-stream");
    assert!(text(answer).await.starts_with("event: end\n"));
}

#[tokio::test]
async fn an_ended_session_leads_back_to_the_sign_in() {
    let browser = Browser::signed_in().await;
    *browser.wire.expired.lock().unwrap() = true;
    let answer = browser.get("/").await;
    assert_eq!(location(&answer), "/login?reason=expired");
    *browser.wire.expired.lock().unwrap() = false;
    let answer = browser.submit("/logout", "").await;
    assert_eq!(location(&answer), "/login?reason=out");
    assert_eq!(browser.get("/").await.status(), StatusCode::SEE_OTHER);
}

#[tokio::test]
async fn environments_and_agents_have_their_pages() {
    let browser = Browser::signed_in().await;
    let page = browser.page("/environments").await;
    assert!(page.find("Development").unwrap() < page.find("Production").unwrap());
    assert!(page.contains("1 agent connected") && page.contains("Not connected"));
    let page = browser.page("/agents").await;
    assert!(page.contains("<code>curtain mcp install claude-code --name test</code>"));
    assert!(page.contains("<code>curtain down --name test</code>"));
    assert!(page.contains("agent-reader") && page.contains("releasebinding:update"));
}

#[tokio::test]
async fn agents_are_shown_with_what_they_may_and_did_and_a_person_grants_and_revokes() {
    let browser = Browser::signed_in().await;
    let page = browser.page("/agents").await;
    assert!(page.contains("4 reads · 0 writes · 1 denied"), "{page}");
    assert!(page.contains("granted by admin@openchoreo.dev") && page.contains("config-fix"));
    assert!(page.contains("ReleaseBinding/&lt;b&gt;web&lt;/b&gt;"), "what an agent names is text");
    assert!(page.contains("set the number of replicas"));
    // Who has only looked takes no place of what was refused, which is told once; granting comes before all that.
    let (above, done) = page.split_once("Done last</h2>").unwrap();
    let (changes, reads) = done.split_once("Looked at last</h2>").unwrap();
    assert!(
        above.contains("action=\"/agents/grant\"") && !done.contains("action=\"/agents/grant\"")
    );
    assert_eq!((changes.matches("denied").count(), changes.matches("looker").count()), (1, 0));
    assert_eq!(reads.matches("looker").count(), 5, "{reads}");
    assert!(
        reads.contains("41 reads") && reads.contains("logs, &lt;b&gt;traces&lt;/b&gt;"),
        "{reads}"
    );
    let part = browser.page("/agents?part").await;
    assert!(part.starts_with("<section>") && part.contains("41 reads"), "{part}");

    let grant = "agent=claude-1&kind=scale&environment=development&project=&minutes=60";
    let forged = format!("form_key=x&{grant}");
    let forged = browser.post("/agents/grant", &forged, Some("http://localhost:8080")).await;
    assert_eq!(forged.status(), StatusCode::FORBIDDEN);
    assert!(browser.wire.written.lock().unwrap().is_empty());
    let answer = browser.submit("/agents/grant", grant).await;
    assert_eq!((answer.status(), location(&answer)), (StatusCode::SEE_OTHER, "/agents"));
    let answer = browser.submit("/agents/revoke", "agent=claude-1&kind=scale").await;
    assert_eq!((answer.status(), location(&answer)), (StatusCode::SEE_OTHER, "/agents"));
    let everything = browser.submit("/agents/revoke", "agent=claude-1&kind=").await;
    assert_ne!(everything.status(), StatusCode::SEE_OTHER, "an empty name is not everything");
    let wish = json!({"kind": "scale", "environment": "development", "seconds": 3600});
    let path = "/agents/claude-1/grants".to_owned();
    let written = browser.wire.written.lock().unwrap().clone();
    assert_eq!(
        written,
        [
            ("POST".to_owned(), path.clone(), wish, None),
            ("DELETE".to_owned(), path, json!({"kind": "scale"}), None),
        ]
    );

    let mut live = browser.get("/agents/live").await.into_body();
    let event = event(&mut live).await;
    assert!(event.starts_with("event: replace") && event.contains("4 reads"), "{event}");
}

#[tokio::test]
async fn an_api_that_is_away_is_said_to_be() {
    let mut browser = Browser::signed_in().await;
    let config = Config {
        bind: ([127, 0, 0, 1], 0).into(),
        health: ([127, 0, 0, 1], 0).into(),
        api_url: "http://127.0.0.1:1".to_owned(),
        observer_url: "http://127.0.0.1:1".to_owned(),
        sre_url: "http://127.0.0.1:1".to_owned(),
        instance: Instance::new("test"),
        allowed_hosts: Vec::new(),
    };
    browser.app = router(&config, Shutdown::on_signals().unwrap());
    let form = "username=a&password=b";
    let answer = browser.post("/login", form, Some("http://localhost:8080")).await;
    assert_eq!(answer.status(), StatusCode::BAD_GATEWAY);
    assert!(text(answer).await.contains("cannot be reached"));
}
