//! The console's files, embedded in the program.

use std::borrow::Cow;

use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use rust_embed::RustEmbed;

/// Built by `make console`; empty when it was not. A debug build reads the folder while it runs.
#[derive(RustEmbed)]
#[folder = "console/dist"]
#[allow_missing = true]
struct Console;

/// Where the build puts files whose names carry a hash of their content: they never change.
const HASHED: &str = "assets/";

const NOT_BUILT: &str = "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>Citywatch</title>\
    <h1>Citywatch runs; its console is not built</h1>\
    <p>Run <code>make console</code>, then build and start the program again. \
    The API under <code>/api/v1</code> works without it.</p></html>";

/// What the build adds to the name of a file that it has compressed. Done once with the greatest care, it is smaller than
/// what is compressed for each answer, and costs none of the time in which a reader waits.
const COMPRESSED: &str = ".br";

/// A file of the console; for any other path its start page, which knows what to show there.
pub(crate) async fn serve(method: Method, uri: Uri, headers: HeaderMap) -> Response {
    let path = uri.path().trim_start_matches('/');
    if path.starts_with("api/") {
        return crate::api::no_such_route();
    }
    if method != Method::GET && method != Method::HEAD {
        return StatusCode::METHOD_NOT_ALLOWED.into_response();
    }
    if let Some(file) = Console::get(path) {
        let caching = if path.starts_with(HASHED) {
            "public, max-age=31536000, immutable"
        } else {
            "no-cache"
        };
        let compressed = takes_brotli(&headers)
            .then(|| Console::get(&format!("{path}{COMPRESSED}")))
            .flatten();
        let Some(compressed) = compressed else {
            return answer(file.data, content_type(path), caching);
        };
        let mut response = answer(compressed.data, content_type(path), caching);
        for (name, value) in [
            (header::CONTENT_ENCODING, "br"),
            (header::VARY, "accept-encoding"),
        ] {
            response
                .headers_mut()
                .insert(name, HeaderValue::from_static(value));
        }
        return response;
    }
    // A missing script must not be answered by a page: the browser would say something misleading.
    if path.starts_with(HASHED) {
        return StatusCode::NOT_FOUND.into_response();
    }
    match Console::get("index.html") {
        Some(page) => answer(page.data, "text/html; charset=utf-8", "no-cache"),
        None => answer(
            NOT_BUILT.as_bytes().into(),
            "text/html; charset=utf-8",
            "no-store",
        ),
    }
}

/// Whether who asks can read what is compressed by Brotli.
fn takes_brotli(headers: &HeaderMap) -> bool {
    headers
        .get_all(header::ACCEPT_ENCODING)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .any(|coding| {
            let (name, weight) = coding.split_once(';').unwrap_or((coding, "q=1"));
            let refused = weight
                .trim()
                .strip_prefix("q=")
                .is_some_and(|weight| weight.parse() == Ok(0.0));
            name.trim().eq_ignore_ascii_case("br") && !refused
        })
}

fn answer(data: Cow<'static, [u8]>, content_type: &'static str, caching: &'static str) -> Response {
    let body = match data {
        Cow::Borrowed(data) => Body::from(data),
        Cow::Owned(data) => Body::from(data),
    };
    let mut response = Response::new(body);
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static(caching));
    response
}

fn content_type(path: &str) -> &'static str {
    match path.rsplit_once('.').map_or("", |(_, extension)| extension) {
        "html" => "text/html; charset=utf-8",
        "js" | "mjs" => "text/javascript; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "json" | "map" | "webmanifest" => "application/json",
        "svg" => "image/svg+xml",
        "png" => "image/png",
        "ico" => "image/x-icon",
        "woff2" => "font/woff2",
        "txt" => "text/plain; charset=utf-8",
        _ => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn brotli_is_for_who_takes_it() {
        for (accepted, expected) in [
            ("gzip, deflate, br, zstd", true),
            ("BR;q=0.5", true),
            ("br ; q=1.0", true),
            ("gzip, br;q=0", false),
            ("gzip, deflate", false),
            ("brotli", false),
            ("", false),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(header::ACCEPT_ENCODING, accepted.parse().unwrap());
            assert_eq!(takes_brotli(&headers), expected, "{accepted}");
        }
        assert!(!takes_brotli(&HeaderMap::new()));
    }
}
