//! Somebody at the portal without a browser: signed in by a link, reading pages and sending their forms.

use http::Method;

use crate::{Answer, Instance, http::send_with};

/// A session of the portal.
#[derive(Debug)]
pub struct Visitor {
    origin: String,
    cookie: String,
    form_key: String,
}

impl Visitor {
    /// Signs `who` in.
    #[track_caller]
    pub fn enter(instance: &Instance, who: &str) -> Self {
        let link = instance.curtain(&["open", "--as", who, "--print"]).success();
        let answer = send_with(Method::GET, link.trim(), &[], String::new()).expect("the portal");
        let cookie = answer.headers.get("set-cookie").and_then(|it| it.to_str().ok());
        let cookie = cookie.and_then(|it| it.split(';').next());
        let cookie = cookie.unwrap_or_else(|| panic!("{who} is not let in: {answer:?}")).to_owned();
        let origin = instance.endpoint("portal").trim_end_matches('/').to_owned();
        let mut visitor = Self { origin, cookie, form_key: String::new() };
        // Every page of who is signed in has a form, if only the one that ends the session.
        let page = visitor.page("/agents").body;
        let key =
            page.split_once("name=\"form_key\" value=\"").and_then(|(_, it)| it.split_once('"'));
        visitor.form_key = key.unwrap_or_else(|| panic!("no form in {page}")).0.to_owned();
        visitor
    }

    /// Reads a page.
    #[track_caller]
    pub fn page(&self, path: &str) -> Answer {
        self.send(Method::GET, path, String::new())
    }

    /// Sends a form as its page does.
    #[track_caller]
    pub fn submit(&self, path: &str, fields: &[(&str, &str)]) -> Answer {
        let mut form = format!("form_key={}", self.form_key);
        for (name, value) in fields {
            form.push_str(&format!("&{name}={value}"));
        }
        self.send(Method::POST, path, form)
    }

    #[track_caller]
    fn send(&self, method: Method, path: &str, form: String) -> Answer {
        let kind = "application/x-www-form-urlencoded";
        let headers = [("content-type", kind), ("cookie", &self.cookie), ("origin", &self.origin)];
        let url = format!("{}{path}", self.origin);
        send_with(method, &url, &headers, form).unwrap_or_else(|error| panic!("{error}"))
    }
}
