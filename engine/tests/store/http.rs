//! As much of HTTP as curl would speak, with the wire in our hands.

use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};

use base64::Engine as _;

use crate::process::{PASSWORD, USER};

pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

/// Basic authentication of the test's account.
pub(crate) fn authorization() -> String {
    let encoded = base64::engine::general_purpose::STANDARD.encode(format!("{USER}:{PASSWORD}"));
    format!("Authorization: Basic {encoded}\r\n")
}

pub(crate) fn get(address: SocketAddr, path: &str) -> Answer {
    send(
        address,
        &format!("GET {path} HTTP/1.1\r\n{}", authorization()),
        b"",
    )
}

pub(crate) fn post(address: SocketAddr, path: &str, body: &[u8]) -> Answer {
    post_with(address, path, "", body)
}

pub(crate) fn post_with(address: SocketAddr, path: &str, headers: &str, body: &[u8]) -> Answer {
    let head = format!(
        "POST {path} HTTP/1.1\r\n{}{headers}Content-Length: {}\r\n",
        authorization(),
        body.len()
    );
    send(address, &head, body)
}

/// Sends a request whose head is `head`, lines ended, and reads the answer to its end.
pub(crate) fn send(address: SocketAddr, head: &str, body: &[u8]) -> Answer {
    let mut stream = TcpStream::connect(address).unwrap();
    stream
        .write_all(format!("{head}Host: {address}\r\nConnection: close\r\n\r\n").as_bytes())
        .unwrap();
    // The server may answer before it has all: that is no error of the test.
    let _ = stream.write_all(body);
    let mut bytes = Vec::new();
    // Nor that it closes then: what the answer says has come before.
    let read = stream.read_to_end(&mut bytes);
    assert!(!bytes.is_empty(), "no answer: {read:?}");
    parse(&bytes)
}

fn parse(bytes: &[u8]) -> Answer {
    let end = bytes
        .windows(4)
        .position(|window| window == b"\r\n\r\n")
        .expect("an answer has a head");
    let head = String::from_utf8(bytes[..end].to_vec()).unwrap();
    let mut lines = head.split("\r\n");
    let status = lines
        .next()
        .unwrap()
        .split(' ')
        .nth(1)
        .unwrap()
        .parse()
        .unwrap();
    let headers: BTreeMap<String, String> = lines
        .map(|line| line.split_once(": ").unwrap())
        .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
        .collect();
    let body = &bytes[end + 4..];
    let chunked = headers
        .get("transfer-encoding")
        .is_some_and(|encoding| encoding == "chunked");
    let body = if chunked {
        unchunk(body)
    } else {
        body.to_vec()
    };
    Answer {
        status,
        headers,
        body,
    }
}

fn unchunk(mut body: &[u8]) -> Vec<u8> {
    let mut whole = Vec::new();
    loop {
        let end = body
            .windows(2)
            .position(|window| window == b"\r\n")
            .expect("a chunk has a length");
        let length = usize::from_str_radix(std::str::from_utf8(&body[..end]).unwrap(), 16).unwrap();
        if length == 0 {
            return whole;
        }
        whole.extend_from_slice(&body[end + 2..end + 2 + length]);
        body = &body[end + 2 + length + 2..];
    }
}

/// Percent-encoded for a query.
pub(crate) fn encode(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02X}")).collect()
}
