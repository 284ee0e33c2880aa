//! E-mail: a message as text, handed to a mail server.

use std::time::Duration;

use lettre::message::Mailbox;
use lettre::message::header::ContentType;
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Certificate, Tls, TlsParameters};
use lettre::{AsyncSmtpTransport, AsyncTransport, Message, Tokio1Executor};

use super::config::{SmtpConfig, SmtpEncryption};
use super::delivery::{DeliveryError, DeliveryFault};
use super::item::{Item, Subject};
use super::template::{self, Content, Form, link, plain, vietnamese_title};

/// A mail server that says nothing for so long is taken for absent.
const TIMEOUT: Duration = Duration::from_secs(15);

/// A text that is no mail address.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no mail address")]
pub(crate) struct NoAddress(pub(crate) String);

/// The addresses of a list with commas.
pub(crate) fn addresses(list: &str) -> Result<Vec<Mailbox>, NoAddress> {
    list.split(',')
        .map(str::trim)
        .filter(|address| !address.is_empty())
        .map(|address| {
            address
                .parse::<Mailbox>()
                .map_err(|_| NoAddress(address.to_owned()))
        })
        .collect()
}

/// Sends a message; the error says what to do.
pub(crate) async fn send(
    smtp: &SmtpConfig,
    message_id: &str,
    to: &str,
    template: &str,
    content: Content<'_>,
) -> Result<(), DeliveryError> {
    let from: Mailbox = smtp.from.parse().map_err(|error| {
        DeliveryError::settings(format!("[alerting.notifications.smtp] from: {error}"))
    })?;
    let body = if template.is_empty() {
        text_of(content)
    } else {
        template::render(template, Form::Text, content).map_err(DeliveryError::broken)?
    };
    let host = from.email.domain().to_owned();
    let mut message = Message::builder()
        .from(from)
        .subject(subject_of(content))
        .message_id(Some(format!("<{message_id}@{host}>")))
        .header(ContentType::TEXT_PLAIN);
    for address in addresses(to).map_err(DeliveryError::broken)? {
        message = message.to(address);
    }
    let message = message.body(body).map_err(|error| {
        DeliveryError::broken(format!("the message cannot be written: {error}"))
    })?;
    transport(smtp)
        .map_err(DeliveryError::settings)?
        .send(message)
        .await
        .map(|_| ())
        .map_err(|error| {
            let answered = error.is_permanent() || error.is_transient();
            let fault = if answered {
                DeliveryFault::Refused
            } else {
                DeliveryFault::Unreachable
            };
            let text = format!("the mail server {}: {}", smtp.host, all_of(&error));
            DeliveryError::new(fault, text)
        })
}

/// An error with what is below it.
fn all_of(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut below = error.source();
    while let Some(error) = below {
        let reason = error.to_string();
        if !text.contains(&reason) {
            text.push_str(": ");
            text.push_str(&reason);
        }
        below = error.source();
    }
    text
}

fn transport(smtp: &SmtpConfig) -> Result<AsyncSmtpTransport<Tokio1Executor>, String> {
    let parameters = || {
        let mut builder = TlsParameters::builder(smtp.host.clone());
        if let Some(file) = &smtp.ca_file {
            let wrong = |error: &dyn std::fmt::Display| {
                let file = file.display();
                format!("[alerting.notifications.smtp] ca_file {file}: {error}")
            };
            let pem = std::fs::read(file).map_err(|error| wrong(&error))?;
            builder = builder
                .add_root_certificate(Certificate::from_pem(&pem).map_err(|error| wrong(&error))?);
        }
        builder
            .build_rustls()
            .map_err(|error| format!("the mail server's name {:?}: {error}", smtp.host))
    };
    let (tls, port) = match smtp.encryption {
        SmtpEncryption::Starttls => (Tls::Required(parameters()?), 587),
        SmtpEncryption::Tls => (Tls::Wrapper(parameters()?), 465),
        SmtpEncryption::None => (Tls::None, 25),
    };
    let mut builder = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(smtp.host.clone())
        .port(smtp.port.unwrap_or(port))
        .tls(tls)
        .timeout(Some(TIMEOUT));
    if let Some(user) = &smtp.user {
        let password = match &smtp.password_file {
            Some(file) => std::fs::read_to_string(file).map_err(|error| {
                format!(
                    "[alerting.notifications.smtp] password_file {}: {error}",
                    file.display()
                )
            })?,
            None => String::new(),
        };
        let password = password.trim_end_matches(['\r', '\n']).to_owned();
        builder = builder.credentials(Credentials::new(user.clone(), password));
    }
    Ok(builder.build())
}

fn severity_word(severity: &str) -> &str {
    match severity {
        "critical" => "nghiêm trọng",
        "high" => "cao",
        "medium" => "trung bình",
        "low" => "thấp",
        "informational" => "thông tin",
        other => other,
    }
}

fn clock_word(clock: &str) -> &str {
    match clock {
        "acknowledge" => "tiếp nhận",
        "resolve" => "giải quyết",
        "report:first" => "báo cáo ban đầu",
        "report:full" => "báo cáo đầy đủ",
        other => other,
    }
}

fn headline(item: &Item) -> String {
    let title = plain(vietnamese_title(item));
    match item.subject {
        Subject::Opened => format!(
            "Sự cố mới #{}, mức {}: {title}",
            item.number,
            severity_word(&item.severity)
        ),
        Subject::Overdue => format!(
            "Quá hạn {}: sự cố #{}, mức {}: {title}",
            plain(clock_word(&item.clock)),
            item.number,
            severity_word(&item.severity)
        ),
        Subject::Test => title,
    }
}

fn subject_of(content: Content<'_>) -> String {
    let subject = match content.items {
        [only] if content.count <= 1 => headline(only),
        items => format!(
            "{} thông báo về sự cố, mức cao nhất: {}",
            content.count,
            severity_word(&template::highest(items))
        ),
    };
    let subject: String = format!("[Citywatch] {subject}").chars().take(200).collect();
    subject
}

fn text_of(content: Content<'_>) -> String {
    let mut text = String::new();
    for item in content.items {
        text.push_str(&headline(item));
        text.push('\n');
        if item.subject != Subject::Test {
            let (unit, host) = (plain(&item.unit), plain(&item.host));
            text.push_str(&format!("  Đơn vị: {unit}\n  Máy chủ: {host}\n"));
            text.push_str(&format!("  Quy tắc: {}\n", plain(&item.rule)));
        }
        text.push_str(&format!("  Lúc: {}\n", local_time(&item.at)));
        let link = link(item, content.console_url);
        if !link.is_empty() {
            text.push_str(&format!("  {link}\n"));
        }
        text.push('\n');
    }
    let listed = i64::try_from(content.items.len()).unwrap_or(i64::MAX);
    if content.count > listed {
        text.push_str(&format!(
            "Còn {} thông báo khác không liệt kê ở đây; xem tất cả trong Citywatch.\n",
            content.count - listed
        ));
    }
    text
}

/// A time in Indochina Time, as people here read it.
fn local_time(at: &str) -> String {
    let zone = jiff::tz::TimeZone::fixed(jiff::tz::offset(7));
    at.parse::<jiff::Timestamp>().map_or_else(
        |_| at.to_owned(),
        |time| {
            let time = time.to_zoned(zone);
            time.strftime("%d/%m/%Y %H:%M:%S (UTC+7)").to_string()
        },
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn item() -> Item {
        Item {
            subject: Subject::Opened,
            number: 7,
            title: "Đoán mật khẩu\r\nBcc: a@b.c".to_owned(),
            severity: "high".to_owned(),
            unit: "hcmc/ben-thanh".to_owned(),
            host: "web-01".to_owned(),
            incident_id: "abc".to_owned(),
            ..Item::test(1_790_000_000_000_000)
        }
    }

    #[test]
    fn one_item_makes_the_subject_and_several_are_counted() {
        let items = [item(), item()];
        let content = |items, count| Content {
            items,
            count,
            console_url: "",
        };
        assert_eq!(
            subject_of(content(&items[..1], 1)),
            "[Citywatch] Sự cố mới #7, mức cao: Đoán mật khẩu  Bcc: a@b.c"
        );
        assert_eq!(
            subject_of(content(&items, 12)),
            "[Citywatch] 12 thông báo về sự cố, mức cao nhất: cao"
        );
        let text = text_of(content(&items, 12));
        assert!(text.contains("Lúc: 21/09/2026 21:13:20 (UTC+7)"), "{text}");
        assert!(text.contains("Còn 10 thông báo khác"), "{text}");
    }

    #[test]
    fn addresses_are_checked() {
        assert_eq!(
            addresses("a@b.vn, Trực ban <soc@hcm.vn>").map(|list| list.len()),
            Ok(2)
        );
        assert!(addresses("nobody").is_err());
    }
}
