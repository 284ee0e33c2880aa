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
    /// Whether it came encrypted.
    pub encrypted: bool,
    /// Who signed in.
    pub user: Option<String>,
}

/// How a mail server is spoken to.
#[derive(Clone, Debug, Default)]
pub struct MailSettings {
    /// Certificate and key, as `Secured` makes them; none: nothing is encrypted.
    pub tls: Option<Arc<rustls::ServerConfig>>,
    /// Encrypted from the first byte.
    pub at_once: bool,
    /// Name and password without which no mail is taken; they are taken over TLS only.
    pub account: Option<(String, String)>,
}

/// A certificate for 127.0.0.1 of a test's own.
pub struct Secured {
    pub settings: Arc<rustls::ServerConfig>,
    /// What clients have to trust.
    pub pem: String,
}

impl Secured {
    pub fn new() -> Self {
        let made = rcgen::generate_simple_self_signed(vec!["127.0.0.1".to_owned()]).unwrap();
        let key = rustls::pki_types::PrivateKeyDer::try_from(made.signing_key.serialize_der());
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let settings = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![made.cert.der().clone()], key.unwrap())
            .unwrap();
        Self {
            settings: Arc::new(settings),
            pem: made.cert.pem(),
        }
    }
}

/// Speaks SMTP (RFC 5321) with STARTTLS (RFC 3207) and AUTH PLAIN (RFC 4954); keeps what it takes.
pub struct MailServer {
    pub port: u16,
    /// The answer to the end of a mail: 250 takes it.
    pub answer: Arc<AtomicU16>,
    mails: Arc<Mutex<Vec<Mail>>>,
}

impl MailServer {
    pub fn start() -> Self {
        Self::start_with(MailSettings::default())
    }

    pub fn start_with(settings: MailSettings) -> Self {
        Self::start_at(0, settings)
    }

    pub fn start_at(port: u16, settings: MailSettings) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", port)).unwrap();
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
                let settings = settings.clone();
                std::thread::spawn(move || {
                    let mut talk = Talk {
                        wire: Wire::Plain(stream),
                        settings,
                        user: None,
                    };
                    // Whoever goes away in the middle has said nothing.
                    let _ = talk.take_mails(&answer, &mails);
                });
            }
        });
        server
    }

    pub fn mails(&self) -> Vec<Mail> {
        self.mails.lock().unwrap().clone()
    }
}

enum Wire {
    Plain(TcpStream),
    Tls(Box<rustls::StreamOwned<rustls::ServerConnection, TcpStream>>),
}

/// One connection.
struct Talk {
    wire: Wire,
    settings: MailSettings,
    user: Option<String>,
}

impl Talk {
    /// A line without its end; byte by byte, so that nothing beyond it is read before TLS begins.
    fn line(&mut self) -> std::io::Result<String> {
        let mut line = Vec::new();
        loop {
            let mut byte = [0];
            match &mut self.wire {
                Wire::Plain(stream) => stream.read_exact(&mut byte)?,
                Wire::Tls(stream) => stream.read_exact(&mut byte)?,
            }
            match byte[0] {
                b'\n' => break,
                b'\r' => {}
                byte => line.push(byte),
            }
        }
        Ok(String::from_utf8_lossy(&line).into_owned())
    }

    fn say(&mut self, text: &str) -> std::io::Result<()> {
        let text = format!("{text}\r\n");
        match &mut self.wire {
            Wire::Plain(stream) => stream.write_all(text.as_bytes()),
            Wire::Tls(stream) => {
                stream.write_all(text.as_bytes())?;
                stream.flush()
            }
        }
    }

    fn encrypted(&self) -> bool {
        matches!(self.wire, Wire::Tls(_))
    }

    fn encrypt(&mut self) {
        let settings = self.settings.tls.clone().unwrap();
        let Wire::Plain(stream) = &self.wire else {
            return;
        };
        let stream = stream.try_clone().unwrap();
        let connection = rustls::ServerConnection::new(settings).unwrap();
        self.wire = Wire::Tls(Box::new(rustls::StreamOwned::new(connection, stream)));
    }

    fn take_mails(&mut self, answer: &AtomicU16, mails: &Mutex<Vec<Mail>>) -> std::io::Result<()> {
        if self.settings.at_once {
            self.encrypt();
        }
        self.say("220 mail.test ESMTP")?;
        let (mut from, mut to) = (String::new(), Vec::new());
        loop {
            let line = self.line()?;
            let word = line.split([' ', ':']).next().unwrap_or("").to_uppercase();
            match word.as_str() {
                "EHLO" if self.encrypted() => {
                    self.say("250-mail.test\r\n250-AUTH PLAIN\r\n250 8BITMIME")?
                }
                "EHLO" if self.settings.tls.is_some() => {
                    self.say("250-mail.test\r\n250-STARTTLS\r\n250 8BITMIME")?;
                }
                "EHLO" => self.say("250-mail.test\r\n250 8BITMIME")?,
                "STARTTLS" => {
                    self.say("220 go ahead")?;
                    self.encrypt();
                }
                "AUTH" => {
                    let answer = self.sign_in(&line);
                    self.say(answer)?;
                }
                "MAIL" if self.settings.account.is_some() && self.user.is_none() => {
                    self.say("530 sign in first")?;
                }
                "MAIL" => {
                    from = line;
                    self.say("250 OK")?;
                }
                "RCPT" => {
                    to.push(line);
                    self.say("250 OK")?;
                }
                "DATA" => {
                    self.say("354 go on")?;
                    let mut data = Vec::new();
                    loop {
                        let line = self.line()?;
                        if line == "." {
                            break;
                        }
                        data.push(line);
                    }
                    let code = answer.load(Ordering::SeqCst);
                    if code == 250 {
                        mails.lock().unwrap().push(Mail {
                            from: std::mem::take(&mut from),
                            to: std::mem::take(&mut to),
                            data: data.join("\n"),
                            encrypted: self.encrypted(),
                            user: self.user.clone(),
                        });
                    }
                    self.say(&format!("{code} said the mail server"))?;
                }
                "QUIT" => return self.say("221 bye"),
                _ => self.say("250 OK")?,
            }
        }
    }

    /// `AUTH PLAIN <base64 of NUL name NUL password>`
    fn sign_in(&mut self, line: &str) -> &'static str {
        use base64::Engine as _;
        let given = line.split(' ').nth(2).unwrap_or("");
        let given = base64::engine::general_purpose::STANDARD.decode(given);
        let given = String::from_utf8(given.unwrap_or_default()).unwrap_or_default();
        let mut parts = given.split('\0').skip(1).map(str::to_owned);
        let pair = parts.next().zip(parts.next());
        match pair {
            Some((user, _)) if self.encrypted() && pair == self.settings.account => {
                self.user = Some(user);
                "235 welcome"
            }
            _ => "535 wrong name or password",
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
