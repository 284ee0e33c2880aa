//! A client that keeps its cookie and its CSRF token, as a browser with the console does.

use std::io::{BufRead, BufReader, Lines};
use std::time::Duration;

use serde_json::{Value, json};

/// Longest wait for an answer, and longest life of a stream: the machine may be slow and have much else to do.
const PATIENCE: Duration = Duration::from_secs(300);

/// An answer.
#[derive(Debug)]
pub struct Reply {
    pub status: u16,
    pub headers: ureq::http::HeaderMap,
    pub body: Value,
    pub text: String,
}

impl Reply {
    pub fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .map_or("", |value| value.to_str().unwrap())
    }
}

/// See the module.
#[derive(Clone)]
pub struct Client {
    agent: ureq::Agent,
    base: String,
    pub cookie: Option<String>,
    pub csrf: Option<String>,
}

impl Client {
    pub fn new(base: String) -> Self {
        let config = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(Some(PATIENCE))
            // A connection is not used twice: the server closes it after a refusal whose body it has not
            // read, and the next request may come just before that.
            .max_idle_connections(0)
            .build();
        Self {
            agent: config.into(),
            base,
            cookie: None,
            csrf: None,
        }
    }

    /// Sends a request; `headers` win over the client's own.
    pub fn send(
        &self,
        method: &str,
        path: &str,
        body: Option<Value>,
        headers: &[(&str, &str)],
    ) -> Reply {
        let mut request = ureq::http::Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.base));
        let given = |name: &str| {
            headers
                .iter()
                .any(|(given, _)| given.eq_ignore_ascii_case(name))
        };
        if let Some(cookie) = self.cookie.as_ref().filter(|_| !given("cookie")) {
            request = request.header("cookie", cookie);
        }
        if let Some(csrf) = self
            .csrf
            .as_ref()
            .filter(|_| method != "GET" && !given("x-csrf-token"))
        {
            request = request.header("x-csrf-token", csrf);
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let response = match body {
            Some(body) => {
                let request = request
                    .header("content-type", "application/json")
                    .body(body.to_string());
                self.agent.run(request.unwrap()).unwrap()
            }
            None => self.agent.run(request.body(()).unwrap()).unwrap(),
        };
        let reply = Self::reply(response);
        if reply.header("content-type").contains("json") {
            super::described::check(method, path, reply.status, &reply.body);
        }
        reply
    }

    fn reply(mut response: ureq::http::Response<ureq::Body>) -> Reply {
        let text = response.body_mut().read_to_string().unwrap();
        Reply {
            status: response.status().as_u16(),
            headers: response.headers().clone(),
            body: serde_json::from_str(&text).unwrap_or(Value::Null),
            text,
        }
    }

    /// Sends a text that is no JSON.
    pub fn send_text(&self, method: &str, path: &str, text: impl AsRef<[u8]>) -> Reply {
        self.send_as("text/csv", method, path, text)
    }

    /// Sends what says that it is JSON.
    pub fn send_json_text(&self, method: &str, path: &str, text: impl AsRef<[u8]>) -> Reply {
        self.send_as("application/json", method, path, text)
    }

    fn send_as(
        &self,
        content_type: &str,
        method: &str,
        path: &str,
        text: impl AsRef<[u8]>,
    ) -> Reply {
        let request = ureq::http::Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.base))
            .header("content-type", content_type)
            .header("cookie", self.cookie.as_deref().unwrap_or(""))
            .header("x-csrf-token", self.csrf.as_deref().unwrap_or(""))
            .body(text.as_ref().to_vec())
            .unwrap();
        Self::reply(self.agent.run(request).unwrap())
    }

    pub fn get(&self, path: &str) -> Reply {
        self.send("GET", path, None, &[])
    }

    /// Signs in and keeps cookie and token.
    pub fn sign_in(&mut self, user: &str, password: &str) -> Reply {
        let credentials = json!({ "user": user, "password": password });
        let reply = self.send("POST", "/api/v1/session", Some(credentials), &[]);
        if reply.status == 200 {
            self.cookie = reply
                .header("set-cookie")
                .split(';')
                .next()
                .map(str::to_owned);
            self.csrf = reply.body["csrf"].as_str().map(str::to_owned);
        }
        reply
    }

    /// Opens the stream of incidents.
    pub fn follow(&self, query: &str, last_event_id: Option<&str>) -> Stream {
        let mut request = self
            .agent
            .get(format!("{}/api/v1/stream{query}", self.base));
        request = request.header("cookie", self.cookie.as_deref().unwrap_or(""));
        if let Some(id) = last_event_id {
            request = request.header("last-event-id", id);
        }
        let response = request.call().unwrap();
        assert_eq!(response.status(), 200);
        Stream {
            lines: BufReader::new(Box::new(response.into_body().into_reader()) as _).lines(),
        }
    }
}

/// An open stream.
pub struct Stream {
    lines: Lines<BufReader<Box<dyn std::io::Read + Send>>>,
}

/// An event of the stream.
#[derive(Debug)]
pub struct StreamEvent {
    pub event: String,
    pub id: Option<String>,
    pub data: Value,
}

impl Stream {
    /// The next event that carries data; the signs of life between are passed over.
    pub fn next(&mut self) -> StreamEvent {
        loop {
            let event = self.next_of_any_kind();
            if event.event != "ping" {
                return event;
            }
        }
    }

    fn next_of_any_kind(&mut self) -> StreamEvent {
        let mut event = StreamEvent {
            event: String::new(),
            id: None,
            data: Value::Null,
        };
        loop {
            let line = self.lines.next().expect("the stream goes on").unwrap();
            match line.split_once(':') {
                None if event.data != Value::Null => return event,
                Some(("event", name)) => event.event = name.trim().to_owned(),
                Some(("id", id)) => event.id = Some(id.trim().to_owned()),
                Some(("data", data)) => event.data = serde_json::from_str(data.trim()).unwrap(),
                _ => {}
            }
        }
    }
}
