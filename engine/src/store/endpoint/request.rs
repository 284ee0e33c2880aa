//! A request as ClickHouse's HTTP interface takes it: who asks, what, with which settings and
//! parameters.

use axum::http::{HeaderMap, Uri, header};
use base64::Engine as _;
use ring::hmac;

/// Query parameters that mean something to the interface itself; all others are settings.
const NO_SETTINGS: &[&str] = &[
    "query",
    "database",
    "default_format",
    "user",
    "password",
    "query_id",
    "session_id",
    "session_timeout",
    "session_check",
    "close_session",
    "compress",
    "decompress",
    "wait_end_of_query",
    "buffer_size",
    "quota_key",
    "role",
    "stacktrace",
    "client_protocol_version",
    "enable_http_compression",
    "http_zlib_compression_level",
    "send_progress_in_http_headers",
    "http_headers_progress_interval_ms",
    "add_http_cors_header",
];

/// What a request says beside its body.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Request {
    /// Statement in the address; the body continues it.
    pub(super) query: String,
    /// Database for names without one.
    pub(super) database: Option<String>,
    /// Format of the result if the statement names none.
    pub(super) default_format: Option<String>,
    /// The client's name for the query, sent back.
    pub(super) query_id: Option<String>,
    /// Settings for this statement.
    pub(super) settings: Vec<(String, String)>,
    /// Parameters of the statement: `param_x` under the name `x`.
    pub(super) parameters: Vec<(String, String)>,
    /// Rows that the client says it sends.
    pub(super) rows_sent: Option<u64>,
}

/// A request that cannot be read, in ClickHouse's terms.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct BadRequest {
    pub(super) code: u32,
    pub(super) message: String,
}

impl Request {
    /// Reads address and headers.
    pub(super) fn read(uri: &Uri, headers: &HeaderMap) -> Result<Self, BadRequest> {
        let mut request = Self::default();
        for (name, value) in form_pairs(uri.query().unwrap_or("")) {
            request.take(name, value)?;
        }
        let header = |name: &str| header_text(headers, name);
        if let Some(database) = header("X-ClickHouse-Database") {
            request.database.get_or_insert_with(|| database.to_owned());
        }
        if let Some(format) = header("X-ClickHouse-Format") {
            request
                .default_format
                .get_or_insert_with(|| format.to_owned());
        }
        request.rows_sent = header(super::ROWS_HEADER).and_then(|rows| rows.parse().ok());
        Ok(request)
    }

    fn take(&mut self, name: String, value: String) -> Result<(), BadRequest> {
        match name.as_str() {
            "query" => self.query = value,
            "database" => self.database = Some(value).filter(|name| !name.is_empty()),
            "default_format" => self.default_format = Some(value),
            "query_id" => self.query_id = Some(value),
            "compress" | "decompress" if value != "0" => {
                return Err(BadRequest {
                    code: 48,
                    message: format!(
                        "{name}=1 is not supported by this endpoint: it is on loopback, where compression \
                         costs more than it saves; switch it off in the client (NOT_IMPLEMENTED)"
                    ),
                });
            }
            known if NO_SETTINGS.contains(&known) => {}
            _ => match name.strip_prefix("param_") {
                Some(parameter) => self.parameters.push((parameter.to_owned(), value)),
                None => self.settings.push((setting_name(name)?, value)),
            },
        }
        Ok(())
    }

    /// Takes over the fields of a form: the statement and its parameters, as the official client
    /// sends them when there are any.
    pub(super) fn take_form(&mut self, body: &[u8], content_type: &str) -> Result<(), BadRequest> {
        for (name, value) in form_fields(body, content_type)? {
            if name == "query" {
                self.query.push_str(&value);
            } else if let Some(parameter) = name.strip_prefix("param_") {
                self.parameters.push((parameter.to_owned(), value));
            } else {
                return Err(bad_form(&format!(
                    "field \"{name}\": external tables are not supported"
                )));
            }
        }
        Ok(())
    }
}

/// Settings become part of a statement, so their names are names and nothing else.
fn setting_name(name: String) -> Result<String, BadRequest> {
    let is_name = !name.is_empty()
        && name.len() <= 100
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    if is_name {
        return Ok(name);
    }
    Err(BadRequest {
        code: 115,
        message: format!("Unknown setting {name:?} (UNKNOWN_SETTING)"),
    })
}

/// Name-value pairs of an address, decoded.
fn form_pairs(query: &str) -> impl Iterator<Item = (String, String)> {
    query
        .split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            (percent_decode(name), percent_decode(value))
        })
}

fn percent_decode(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        let hex = (byte == b'%').then(|| bytes.get(at + 1..at + 3)).flatten();
        let hex = hex.and_then(|hex| u8::from_str_radix(std::str::from_utf8(hex).ok()?, 16).ok());
        match (byte, hex) {
            (_, Some(byte)) => {
                decoded.push(byte);
                at += 2;
            }
            (b'+', _) => decoded.push(b' '),
            _ => decoded.push(byte),
        }
        at += 1;
    }
    String::from_utf8_lossy(&decoded).into_owned()
}

fn bad_form(reason: &str) -> BadRequest {
    BadRequest {
        code: 36,
        message: format!("multipart/form-data: {reason} (BAD_ARGUMENTS)"),
    }
}

/// Fields of a `multipart/form-data` body (RFC 7578), all of them text.
fn form_fields(body: &[u8], content_type: &str) -> Result<Vec<(String, String)>, BadRequest> {
    let boundary = content_type
        .split(';')
        .find_map(|part| part.trim().strip_prefix("boundary="));
    let boundary = boundary
        .map(|boundary| boundary.trim_matches('"'))
        .filter(|boundary| !boundary.is_empty());
    let boundary = boundary.ok_or_else(|| bad_form("no boundary"))?;
    let mark = format!("\r\n--{boundary}");
    let mark = mark.as_bytes();
    // The first mark has no line end before it.
    let mut rest = body
        .strip_prefix(&mark[2..])
        .ok_or_else(|| bad_form("it does not begin with its boundary"))?;
    let mut fields = Vec::new();
    while !rest.starts_with(b"--") {
        let field = rest
            .strip_prefix(b"\r\n")
            .ok_or_else(|| bad_form("a boundary without a line end"))?;
        let end =
            memchr::memmem::find(field, mark).ok_or_else(|| bad_form("a field without an end"))?;
        let head = memchr::memmem::find(&field[..end], b"\r\n\r\n")
            .ok_or_else(|| bad_form("a field without a head"))?;
        let name = field_name(&field[..head]).ok_or_else(|| bad_form("a field without a name"))?;
        let value = std::str::from_utf8(&field[head + 4..end])
            .map_err(|_| bad_form("a field that is not UTF-8"))?;
        fields.push((name, value.to_owned()));
        rest = &field[end + mark.len()..];
    }
    Ok(fields)
}

/// `name` of `Content-Disposition: form-data; name="query"`.
fn field_name(head: &[u8]) -> Option<String> {
    let head = std::str::from_utf8(head).ok()?;
    let line = head.split("\r\n").find(|line| {
        line.get(..20)
            .is_some_and(|start| start.eq_ignore_ascii_case("content-disposition:"))
    })?;
    let name = line
        .split(';')
        .find_map(|part| part.trim().strip_prefix("name="))?;
    Some(name.trim_matches('"').to_owned())
}

/// The one user of the endpoint.
pub(super) struct Account {
    key: hmac::Key,
    /// Mark of user and password: compared by mark, so that time tells nothing of either.
    mark: hmac::Tag,
}

impl Account {
    pub(super) fn new(user: &str, password: &str) -> Self {
        let key = hmac::Key::new(hmac::HMAC_SHA256, b"citywatch store account");
        let mark = hmac::sign(&key, &credentials(user, password));
        Self { key, mark }
    }

    /// Whether the request carries user and password: basic authentication, ClickHouse's headers or
    /// query parameters. A user that is not named is `default`, as with ClickHouse.
    pub(super) fn admits(&self, uri: &Uri, headers: &HeaderMap) -> bool {
        let header = |name: &str| header_text(headers, name);
        let (user, password) = if let Some(basic) = basic_credentials(headers) {
            basic
        } else if header("X-ClickHouse-User").is_some() || header("X-ClickHouse-Key").is_some() {
            let text = |name| header(name).unwrap_or("").to_owned();
            (text("X-ClickHouse-User"), text("X-ClickHouse-Key"))
        } else {
            let find = |wanted: &str| {
                let mut pairs = form_pairs(uri.query().unwrap_or(""));
                pairs
                    .find(|(name, _)| name == wanted)
                    .map_or_else(String::new, |(_, value)| value)
            };
            (find("user"), find("password"))
        };
        let user = if user.is_empty() { "default" } else { &user };
        hmac::verify(&self.key, &credentials(user, &password), self.mark.as_ref()).is_ok()
    }
}

/// User and password in one, with the user's length so that no two pairs are alike.
fn credentials(user: &str, password: &str) -> Vec<u8> {
    let mut bytes = (user.len() as u64).to_le_bytes().to_vec();
    bytes.extend_from_slice(user.as_bytes());
    bytes.extend_from_slice(password.as_bytes());
    bytes
}

/// A header's value; it may be any UTF-8, as a password is.
fn header_text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    std::str::from_utf8(headers.get(name)?.as_bytes()).ok()
}

fn basic_credentials(headers: &HeaderMap) -> Option<(String, String)> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, encoded) = value.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let decoded = base64::engine::general_purpose::STANDARD
        .decode(encoded.trim())
        .ok()?;
    let (user, password) = std::str::from_utf8(&decoded).ok()?.split_once(':')?;
    Some((user.to_owned(), password.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(address: &str) -> Result<Request, BadRequest> {
        Request::read(&address.parse().unwrap(), &HeaderMap::new())
    }

    #[test]
    fn an_address_is_taken_apart() {
        let request = read(
            "/?query=SELECT+%7Ba%3AString%7D&param_a=x%26y&max_threads=2&database=citywatch&default_format=CSV&user=u",
        );
        let expected = Request {
            query: "SELECT {a:String}".into(),
            database: Some("citywatch".into()),
            default_format: Some("CSV".into()),
            settings: vec![("max_threads".into(), "2".into())],
            parameters: vec![("a".into(), "x&y".into())],
            ..Request::default()
        };
        assert_eq!(request.unwrap(), expected);
    }

    #[test]
    fn a_setting_that_is_no_name_is_refused() {
        assert_eq!(read("/?a%3D1%2Cb=2").unwrap_err().code, 115);
        assert_eq!(read("/?decompress=1").unwrap_err().code, 48);
        assert!(read("/?decompress=0").is_ok());
    }

    #[test]
    fn a_form_gives_statement_and_parameters() {
        let body = "--xyz\r\nContent-Disposition: form-data; name=\"query\"\r\n\r\nSELECT 1\r\n\
                    --xyz\r\ncontent-disposition: form-data; name=\"param_a\"\r\n\r\n--xy\r\nz\r\n--xyz--\r\n";
        let mut request = Request::default();
        request
            .take_form(body.as_bytes(), "multipart/form-data; boundary=xyz")
            .unwrap();
        assert_eq!(request.query, "SELECT 1");
        assert_eq!(
            request.parameters,
            [("a".to_owned(), "--xy\r\nz".to_owned())]
        );
    }

    #[test]
    fn a_broken_form_is_refused_wherever_it_breaks() {
        let body =
            b"--x\r\nContent-Disposition: form-data; name=\"query\"\r\n\r\nSELECT 1\r\n--x--";
        for cut in 0..body.len() - 1 {
            let read =
                Request::default().take_form(&body[..cut], "multipart/form-data; boundary=x");
            assert!(read.is_err(), "cut at {cut}");
        }
        assert!(
            Request::default()
                .take_form(body, "multipart/form-data")
                .is_err()
        );
    }

    #[test]
    fn only_the_account_is_admitted() {
        let account = Account::new("citywatch", "secret:ä");
        let uri: Uri = "/".parse().unwrap();
        let with = |name: &'static str, value: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(name, value.parse().unwrap());
            headers
        };
        let basic = |text: &str| {
            format!(
                "Basic {}",
                base64::engine::general_purpose::STANDARD.encode(text)
            )
        };
        assert!(account.admits(&uri, &with("authorization", &basic("citywatch:secret:ä"))));
        assert!(!account.admits(&uri, &with("authorization", &basic("citywatch:wrong"))));
        assert!(!account.admits(&uri, &with("authorization", &basic("citywatchsecret:ä"))));
        assert!(!account.admits(&uri, &with("X-ClickHouse-User", "citywatch")));
        assert!(!account.admits(&uri, &HeaderMap::new()));
        let uri: Uri = "/?user=citywatch&password=secret%3A%C3%A4".parse().unwrap();
        assert!(account.admits(&uri, &HeaderMap::new()));
    }
}
