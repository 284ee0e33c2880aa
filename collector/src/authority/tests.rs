use std::os::unix::fs::PermissionsExt;

use rcgen::{CertificateParams, KeyPair};

use super::*;

const DAY: Duration = Duration::from_secs(24 * 3600);

fn now() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000)
}

fn request() -> Vec<u8> {
    let key = KeyPair::generate_for(&rcgen::PKCS_ED25519).unwrap();
    let request = CertificateParams::default()
        .serialize_request(&key)
        .unwrap();
    request.der().to_vec()
}

fn token_for(authority: &Authority, unit: &str, agent: Option<&str>) -> Token {
    let request = TokenRequest {
        unit: unit.into(),
        agent: agent.map(str::to_owned),
        reach: Reach::Unit,
        valid: DAY,
    };
    authority.make_token(&request, now()).unwrap()
}

#[test]
fn a_token_enrols_one_agent() {
    let dir = tempfile::tempdir().unwrap();
    let authority = Authority::init(&dir.path().join("ca"), now()).unwrap();
    let token = token_for(&authority, "hcmc/linh-xuan", None);
    let copied: Token = token.reveal().parse().unwrap();
    assert_eq!(copied, token);
    assert_eq!(copied.fingerprint(), authority.fingerprint());

    // A request that is none does not use it up.
    let wrong = authority.enrol(&copied, "web01", b"no request", DAY, now());
    assert!(matches!(wrong, Err(AuthorityError::Issue(_))), "{wrong:?}");
    let issued = authority
        .enrol(&copied, "web01", &request(), DAY, now())
        .unwrap();
    assert_eq!(issued.holder.to_string(), "web01 of hcmc/linh-xuan");
    assert!(
        issued
            .certificate
            .starts_with("-----BEGIN CERTIFICATE-----")
    );
    let again = authority.enrol(&copied, "web02", &request(), DAY, now());
    assert!(
        matches!(again, Err(AuthorityError::Token(TokenError::Used))),
        "{again:?}"
    );
}

#[test]
fn a_token_that_is_wrong_or_old_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let authority = Authority::init(dir.path(), now()).unwrap();
    let token = token_for(&authority, "u", None);
    let late = authority.enrol(&token, "a", &request(), DAY, now() + DAY);
    assert!(
        matches!(late, Err(AuthorityError::Token(TokenError::Expired))),
        "{late:?}"
    );
    // The same id with another secret.
    let mut parts: Vec<String> = token.reveal().split('.').map(str::to_owned).collect();
    parts[2] = "A".repeat(32);
    let forged: Token = parts.join(".").parse().unwrap();
    let refused = authority.enrol(&forged, "a", &request(), DAY, now());
    assert!(
        matches!(refused, Err(AuthorityError::Token(TokenError::Unknown))),
        "{refused:?}"
    );
    for text in [
        "",
        "cw1",
        "cw2.00.00.00",
        "cw1.zz.x.y",
        "cw1.000000000000.AAAA.AAAA",
    ] {
        assert_eq!(text.parse::<Token>(), Err(TokenError::Malformed), "{text}");
    }
    // Neither the secret nor anything it can be had from is on disk.
    let journal = std::fs::read_to_string(dir.path().join(JOURNAL)).unwrap();
    assert!(!journal.contains(token.reveal().split('.').nth(2).unwrap()));
}

#[test]
fn a_name_belongs_to_one_unit() {
    let dir = tempfile::tempdir().unwrap();
    let authority = Authority::init(dir.path(), now()).unwrap();
    let enrol = |unit: &str, agent: Option<&str>, at: SystemTime| {
        let token = token_for(&authority, unit, agent);
        authority.enrol(&token, "web01", &request(), DAY, at)
    };
    enrol("a", None, now()).unwrap();
    for (unit, agent) in [("b", None), ("b", Some("web01")), ("a", None)] {
        let refused = enrol(unit, agent, now());
        assert!(
            matches!(refused, Err(AuthorityError::NameTaken { .. })),
            "{unit} {agent:?} {refused:?}"
        );
    }
    // The same agent, installed anew by somebody who named it.
    enrol("a", Some("web01"), now()).unwrap();
    assert_eq!(authority.revoke("web01", now()).unwrap().len(), 2);
    enrol("b", None, now()).unwrap();
}

#[test]
fn renewal_keeps_the_name_and_ends_with_revocation() {
    let dir = tempfile::tempdir().unwrap();
    let authority = Authority::init(dir.path(), now()).unwrap();
    let token = token_for(&authority, "a", Some("web01"));
    let first = authority
        .enrol(&token, "ignored", &request(), DAY, now())
        .unwrap();
    let second = authority
        .renew(&first.serial, &request(), DAY, now() + DAY / 2)
        .unwrap();
    assert_eq!(second.holder, first.holder);
    let known = authority.certificates().unwrap();
    let renewed: Vec<bool> = known.iter().map(|known| known.is_renewed).collect();
    assert_eq!(renewed, [false, true]);

    // Another process, as `citywatch ca revoke` is one.
    let other = Authority::open(dir.path()).unwrap();
    let before = std::fs::read(dir.path().join(REVOKED)).unwrap();
    other.revoke(&second.serial, now()).unwrap();
    assert_ne!(std::fs::read(dir.path().join(REVOKED)).unwrap(), before);
    let refused = authority.renew(&second.serial, &request(), DAY, now());
    assert!(
        matches!(
            refused,
            Err(AuthorityError::NotRenewable { why: "revoked", .. })
        ),
        "{refused:?}"
    );
    let refused = authority.renew(&first.serial, &request(), DAY, now() + DAY);
    assert!(
        matches!(
            refused,
            Err(AuthorityError::NotRenewable { why: "expired", .. })
        ),
        "{refused:?}"
    );
    assert!(matches!(
        other.revoke("nobody", now()),
        Err(AuthorityError::NotFound { .. })
    ));
}

#[test]
fn what_is_known_survives_restarts_and_a_torn_end() {
    let dir = tempfile::tempdir().unwrap();
    let authority = Authority::init(dir.path(), now()).unwrap();
    let used = token_for(&authority, "a", None);
    authority.enrol(&used, "x", &request(), DAY, now()).unwrap();
    let open = token_for(&authority, "a", None);
    drop(authority);
    let path = dir.path().join(JOURNAL);
    let whole = std::fs::read(&path).unwrap();
    std::fs::write(&path, [&whole[..], b"{\"entry\":\"revo"].concat()).unwrap();

    let authority = Authority::open(dir.path()).unwrap();
    assert_eq!(authority.tokens(now()).unwrap().len(), 1);
    assert!(authority.enrol(&used, "y", &request(), DAY, now()).is_err());
    authority.enrol(&open, "y", &request(), DAY, now()).unwrap();
    let again = Authority::open(dir.path()).unwrap();
    assert_eq!(again.certificates().unwrap().len(), 2);
}

#[test]
fn the_key_is_its_owners_and_is_not_overwritten() {
    let dir = tempfile::tempdir().unwrap();
    Authority::init(dir.path(), now()).unwrap();
    let mode = std::fs::metadata(dir.path().join(KEY))
        .unwrap()
        .permissions();
    assert_eq!(mode.mode() & 0o777, 0o600);
    assert!(matches!(
        Authority::init(dir.path(), now()),
        Err(AuthorityError::Exists { .. })
    ));
    let empty = tempfile::tempdir().unwrap();
    assert!(matches!(
        Authority::open(empty.path()),
        Err(AuthorityError::Missing { .. })
    ));
}

#[test]
fn the_citys_own_authority_can_be_taken() {
    let (key, certificate) = issuing::make_authority(now()).unwrap();
    let (other_key, _) = issuing::make_authority(now()).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let mismatch = Authority::import(dir.path(), &other_key, &certificate, now());
    assert!(matches!(
        mismatch,
        Err(AuthorityError::Issue(IssueError::Mismatch))
    ));
    let authority = Authority::import(dir.path(), &key, &certificate, now()).unwrap();
    let token = token_for(&authority, "a", None);
    authority
        .enrol(&token, "x", &request(), DAY, now())
        .unwrap();

    // A certificate of an agent may not sign others.
    let (leaf_key, leaf) = authority.issue(&["kafka-1".into()], DAY, now()).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let refused = Authority::import(dir.path(), &leaf_key, &leaf, now());
    assert!(matches!(
        refused,
        Err(AuthorityError::Issue(IssueError::MayNotSign { .. }))
    ));
    assert!(matches!(
        authority.issue(&["no name".into()], DAY, now()),
        Err(AuthorityError::Issue(IssueError::Name(_)))
    ));
}
