//! Webhooks: a message as JSON, signed, posted to a URL.

use std::sync::OnceLock;
use std::time::Duration;

use ring::hmac;
use serde_json::json;

use super::delivery::{DeliveryError, DeliveryFault};
use super::item::Item;
use super::template::{self, Content, Form, link};
use crate::intake::keys::hexadecimal;
use crate::tls::asking_with_own_roots;

/// Whoever says nothing for so long is taken for absent.
const TIMEOUT: Duration = Duration::from_secs(15);
/// Of a refusal so much is kept.
const ANSWER_CHARACTERS_MAX: usize = 300;

/// The body of a message.
pub(crate) fn body_of(
    message_id: &str,
    template: &str,
    content: Content<'_>,
) -> Result<String, DeliveryError> {
    if !template.is_empty() {
        return template::render(template, Form::Json, content).map_err(DeliveryError::broken);
    }
    let item = |item: &Item| {
        json!({
            "subject": item.subject, "incident_id": item.incident_id, "number": item.number,
            "title": item.title, "title_vi": item.title_vi, "severity": item.severity, "unit": item.unit, "host": item.host,
            "rule": item.rule, "at": item.at, "clock": item.clock,
            "demonstration": item.demonstration,
            "link": link(item, content.console_url),
        })
    };
    let items: Vec<_> = content.items.iter().map(item).collect();
    Ok(json!({ "id": message_id, "count": content.count, "items": items }).to_string())
}

/// What stands in `X-Citywatch-Signature`: HMAC-SHA256 under the route's secret over the time, a dot and the
/// body. Who gets it computes the same, and refuses what is older than some minutes.
pub(crate) fn signature(secret: &str, seconds: i64, body: &str) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
    let tag = hmac::sign(&key, format!("{seconds}.{body}").as_bytes());
    format!("t={seconds},v1={}", hexadecimal(tag.as_ref()))
}

/// Posts a body; blocks. The error says what the other side said.
pub(crate) fn post(
    url: &str,
    message_id: &str,
    signature: &str,
    body: &str,
) -> Result<(), DeliveryError> {
    let answer = agent()
        .post(url)
        .header("content-type", "application/json")
        .header("user-agent", "citywatch")
        .header("x-citywatch-delivery", message_id)
        .header("x-citywatch-signature", signature)
        .send(body);
    let mut answer = answer.map_err(|error| {
        let text = format!("{}: {error}", place_of(url));
        DeliveryError::new(DeliveryFault::Unreachable, text)
    })?;
    let status = answer.status();
    if status.is_success() {
        return Ok(());
    }
    let said: String = answer
        .body_mut()
        .with_config()
        .limit(64 * 1024)
        .read_to_string()
        .unwrap_or_default()
        .chars()
        .filter(|character| !character.is_control())
        .take(ANSWER_CHARACTERS_MAX)
        .collect();
    Err(DeliveryError::new(
        DeliveryFault::Refused,
        format!("{} answered {status}: {said}", place_of(url)),
    ))
}

/// Scheme and host alone: the path of a chat's webhook is a secret, and errors reach the log.
fn place_of(url: &str) -> &str {
    let begin = url.find("://").map_or(0, |place| place + 3);
    let length = url[begin..].find(['/', '?', '#']);
    &url[..length.map_or(url.len(), |length| begin + length)]
}

/// Redirects are not followed: a route names where its messages go, nobody else does.
fn agent() -> ureq::Agent {
    static AGENT: OnceLock<ureq::Agent> = OnceLock::new();
    AGENT
        .get_or_init(|| {
            ureq::Agent::config_builder()
                .http_status_as_error(false)
                .timeout_global(Some(TIMEOUT))
                .max_redirects(0)
                .max_redirects_will_error(false)
                .max_idle_connections(0)
                .tls_config(asking_with_own_roots())
                .build()
                .into()
        })
        .clone()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_name_the_host_and_no_path() {
        assert_eq!(
            place_of("https://chat.test:8443/hooks/secret?x=1"),
            "https://chat.test:8443"
        );
        assert_eq!(place_of("http://chat.test"), "http://chat.test");
    }

    #[test]
    fn a_signature_is_hmac_sha256_over_time_and_body() {
        // printf '%s' '1790000000.{"id":"m"}' | openssl dgst -sha256 -hmac secret
        assert_eq!(
            signature("secret", 1_790_000_000, r#"{"id":"m"}"#),
            "t=1790000000,v1=b323b90dad2734c8ed82af895ca3a61c28c786b68b7e3d949bb25068c64ff589"
        );
    }
}
