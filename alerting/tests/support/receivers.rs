//! Receivers of notifications: a mail server and an HTTP server, real ones on ports of their own.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::{Arc, Mutex};

/// A mail as it arrived.
#[derive(Clone, Debug)]
pub struct Mail {
    pub from: String,
    pub to: Vec<String>,
    pub data: String,
}

/// Speaks SMTP (RFC 5321) without encryption; keeps what it takes.
pub struct MailServer {
    pub port: u16,
    /// The answer to the end of a mail: 250 takes it.
    pub answer: Arc<AtomicU16>,
    mails: Arc<Mutex<Vec<Mail>>>,
}

impl MailServer {
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let (answer, mails) = (Arc::new(AtomicU16::new(250)), Arc::default());
        let server = Self {
            port,
            answer: Arc::clone(&answer),
            mails: Arc::clone(&mails),
        };
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let (answer, mails) = (Arc::clone(&answer), Arc::clone(&mails));
                std::thread::spawn(move || take_mails(&stream, &answer, &mails));
            }
        });
        server
    }

    pub fn mails(&self) -> Vec<Mail> {
        self.mails.lock().unwrap().clone()
    }
}

fn take_mails(stream: &TcpStream, answer: &AtomicU16, mails: &Mutex<Vec<Mail>>) {
    let mut lines = BufReader::new(stream).lines().map_while(Result::ok);
    let say = |text: &str| {
        let mut stream = stream;
        let _ = stream.write_all(format!("{text}\r\n").as_bytes());
    };
    say("220 mail.test ESMTP");
    let (mut from, mut to) = (String::new(), Vec::new());
    while let Some(line) = lines.next() {
        let word = line.split([' ', ':']).next().unwrap_or("").to_uppercase();
        match word.as_str() {
            "EHLO" => say("250-mail.test\r\n250 8BITMIME"),
            "MAIL" => {
                from = line;
                say("250 OK");
            }
            "RCPT" => {
                to.push(line);
                say("250 OK");
            }
            "DATA" => {
                say("354 go on");
                let data: Vec<String> = lines.by_ref().take_while(|line| line != ".").collect();
                let code = answer.load(Ordering::SeqCst);
                if code == 250 {
                    mails.lock().unwrap().push(Mail {
                        from: std::mem::take(&mut from),
                        to: std::mem::take(&mut to),
                        data: data.join("\n"),
                    });
                }
                say(&format!("{code} said the mail server"));
            }
            "QUIT" => {
                say("221 bye");
                return;
            }
            _ => say("250 OK"),
        }
    }
}

/// A request as it arrived; header names in lower case.
#[derive(Clone, Debug)]
pub struct Posted {
    pub headers: Vec<(String, String)>,
    pub body: String,
    /// What was answered.
    pub status: u16,
}

impl Posted {
    pub fn header(&self, name: &str) -> &str {
        self.headers
            .iter()
            .find(|(given, _)| given == name)
            .map_or("", |(_, value)| value)
    }
}

/// Answers each request with the same status; keeps what it got.
pub struct HookServer {
    pub url: String,
    pub answer: Arc<AtomicU16>,
    posted: Arc<Mutex<Vec<Posted>>>,
}

impl HookServer {
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/hook?room=soc", listener.local_addr().unwrap());
        let (answer, posted) = (Arc::new(AtomicU16::new(200)), Arc::default());
        let server = Self {
            url,
            answer: Arc::clone(&answer),
            posted: Arc::clone(&posted),
        };
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                take_request(&stream, &answer, &posted);
            }
        });
        server
    }

    pub fn posted(&self) -> Vec<Posted> {
        self.posted.lock().unwrap().clone()
    }
}

fn take_request(stream: &TcpStream, answer: &AtomicU16, posted: &Mutex<Vec<Posted>>) {
    let mut reader = BufReader::new(stream);
    let mut headers = Vec::new();
    let mut line = String::new();
    loop {
        line.clear();
        // A process may be killed while it posts.
        if reader.read_line(&mut line).unwrap_or(0) == 0 {
            return;
        }
        if line.trim().is_empty() {
            break;
        }
        if let Some((name, value)) = line.split_once(": ") {
            headers.push((name.to_lowercase(), value.trim().to_owned()));
        }
    }
    let length = headers
        .iter()
        .find(|(name, _)| name == "content-length")
        .and_then(|(_, value)| value.parse().ok())
        .unwrap_or(0);
    let mut body = vec![0; length];
    if reader.read_exact(&mut body).is_err() {
        return;
    }
    let status = answer.load(Ordering::SeqCst);
    posted.lock().unwrap().push(Posted {
        headers,
        body: String::from_utf8(body).unwrap(),
        status,
    });
    let answer =
        format!("HTTP/1.1 {status} Said\r\nContent-Length: 4\r\nConnection: close\r\n\r\nsaid");
    let mut stream = stream;
    let _ = stream.write_all(answer.as_bytes());
}
