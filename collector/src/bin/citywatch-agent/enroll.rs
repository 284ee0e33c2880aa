//! `citywatch-agent enroll`: the key is made here, its certificate comes from the system's authority.

use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;

use citywatch_collector::authority::Token;
use citywatch_collector::identity::enrol;
use citywatch_collector::{AgentConfig, Identity};

use super::{EnrollArgs, refuse};

/// 0 when the agent has its certificate, 1 when the server says no or is not reached, 2 for what was typed.
pub(crate) fn enroll(args: &EnrollArgs) -> ExitCode {
    let mut given = args.token.clone();
    if given == "-" {
        given.clear();
        if let Err(error) = io::stdin().read_line(&mut given) {
            return refuse(&format!("cannot read the token: {error}"));
        }
    }
    let token: Token = match given.parse() {
        Ok(token) => token,
        Err(error) => return refuse(&error.to_string()),
    };
    if let Some(expected) = &args.ca_fingerprint
        && normal(expected) != token.fingerprint_text()
    {
        return refuse(&format!(
            "the token is for the authority sha256:{}, not for {expected}: it is of another system",
            token.fingerprint_text()
        ));
    }
    let config = match config(&args.common.config) {
        Ok(config) => config,
        Err(error) => return refuse(&error),
    };
    let dir = config.identity_dir();
    match Identity::open(&dir) {
        Ok(Some(identity)) if !args.replace => {
            return refuse(&format!(
                "{}: this agent is enrolled as {} already; --replace puts another identity in its place",
                dir.display(),
                identity.current().holder
            ));
        }
        // One that cannot be read is replaced.
        _ => {}
    }
    let name = args.name.as_deref().unwrap_or(&config.name);
    let runtime = match tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => return refuse(&format!("cannot start: {error}")),
    };
    match runtime.block_on(enrol::enrol(&args.server, &token, name, &dir)) {
        Ok(identity) => match tell(&identity, &dir, &config) {
            Ok(()) => ExitCode::SUCCESS,
            Err(_) => ExitCode::FAILURE,
        },
        Err(error) => {
            eprintln!("citywatch-agent: {error}");
            ExitCode::FAILURE
        }
    }
}

/// The configuration, or its defaults while there is none.
fn config(path: &Path) -> Result<AgentConfig, String> {
    if path.exists() {
        AgentConfig::load(path).map_err(|error| error.to_string())
    } else {
        Ok(AgentConfig::default())
    }
}

fn tell(identity: &Identity, dir: &Path, config: &AgentConfig) -> io::Result<()> {
    let current = identity.current();
    let mut out = io::stdout().lock();
    writeln!(out, "enrolled as {}", current.holder)?;
    writeln!(out, "  certificate {}", current.note.serial)?;
    writeln!(out, "  kept in     {}", dir.display())?;
    writeln!(
        out,
        "  renewed     by itself at {}, while the agent runs",
        current.note.server
    )?;
    if config.kafka.is_some() || config.https.is_some() {
        writeln!(
            out,
            "next: restart the agent; its batches are signed from then on"
        )
    } else {
        writeln!(
            out,
            "next: say in agent.toml where records go ([https] without Kafka, or [kafka]), then start the agent"
        )
    }
}

fn normal(fingerprint: &str) -> String {
    let digits = fingerprint.strip_prefix("sha256:").unwrap_or(fingerprint);
    digits.replace(':', "").to_ascii_lowercase()
}
