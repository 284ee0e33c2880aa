//! A person at the console's API: signed in, asking and changing as a browser does.

use std::time::Duration;

use anyhow::{Context, bail};
use serde_json::{Value, json};

/// The API is on this machine, and nobody else asks it.
const TIMEOUT: Duration = Duration::from_secs(60);

/// A person who is signed in.
pub struct Desk {
    agent: ureq::Agent,
    base: String,
    cookie: String,
    csrf: String,
}

/// What the API said.
#[derive(Debug)]
pub struct Answer {
    /// The status of HTTP.
    pub status: u16,
    /// The body; null where there is none.
    pub body: Value,
}

impl Answer {
    /// The body of an answer that is no refusal.
    pub fn right(self) -> anyhow::Result<Value> {
        if self.status < 300 {
            return Ok(self.body);
        }
        bail!("the API said {}: {}", self.status, self.body)
    }
}

impl Desk {
    /// Signs in at the console of this address.
    pub fn sign_in(address: &str, name: &str, password: &str) -> anyhow::Result<Self> {
        let agent: ureq::Agent = ureq::Agent::config_builder()
            .timeout_global(Some(TIMEOUT))
            .http_status_as_error(false)
            .build()
            .into();
        let mut desk = Self {
            agent,
            base: format!("{address}/api/v1"),
            cookie: String::new(),
            csrf: String::new(),
        };
        let body = json!({ "user": name, "password": password });
        let request = ureq::http::Request::post(format!("{}/session", desk.base))
            .header("content-type", "application/json")
            .body(body.to_string())?;
        let mut response = desk.agent.run(request).context("signing in")?;
        let cookie = response.headers().get("set-cookie");
        let cookie = cookie
            .and_then(|cookie| cookie.to_str().ok())
            .unwrap_or_default();
        desk.cookie = cookie.split(';').next().unwrap_or_default().to_owned();
        let answer = read(&mut response)?.right().context("signing in")?;
        desk.csrf = answer["csrf"].as_str().unwrap_or_default().to_owned();
        Ok(desk)
    }

    /// Asks.
    pub fn get(&self, path: &str) -> anyhow::Result<Answer> {
        let request = ureq::http::Request::get(format!("{}{path}", self.base))
            .header("cookie", &self.cookie)
            .body(())?;
        read(&mut self.agent.run(request)?)
    }

    /// Changes something; `seen` is the version that it was decided on.
    pub fn send(
        &self,
        method: &str,
        path: &str,
        seen: Option<i64>,
        body: &Value,
    ) -> anyhow::Result<Answer> {
        self.send_text(method, path, seen, "application/json", body.to_string())
    }

    /// The same with a body of another type.
    pub fn send_text(
        &self,
        method: &str,
        path: &str,
        seen: Option<i64>,
        content_type: &str,
        body: String,
    ) -> anyhow::Result<Answer> {
        let mut request = ureq::http::Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.base))
            .header("content-type", content_type)
            .header("cookie", &self.cookie)
            .header("x-csrf-token", &self.csrf);
        if let Some(seen) = seen {
            request = request.header("if-match", format!("\"{seen}\""));
        }
        read(&mut self.agent.run(request.body(body)?)?)
    }
}

fn read(response: &mut ureq::http::Response<ureq::Body>) -> anyhow::Result<Answer> {
    let status = response.status().as_u16();
    let text = response.body_mut().read_to_string()?;
    let body = serde_json::from_str(&text).unwrap_or(Value::Null);
    Ok(Answer { status, body })
}
