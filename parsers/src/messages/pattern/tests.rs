use super::*;

fn places(pattern: &'static str, text: &str) -> Option<Vec<(String, String)>> {
    let mut found = Places::new();
    Taken::of(pattern).fits(text, &mut found).then(|| {
        found
            .iter()
            .map(|place| (place.name.to_owned(), place.text.to_owned()))
            .collect()
    })
}

/// Without the short way that most texts take.
fn fits_slowly<'a>(
    pattern: &'static str,
    text: &'a str,
    places: &mut Places<'a>,
    tries: &mut u32,
) -> bool {
    let (head, behind) = head_of(pattern);
    let rest = head.strip(text);
    rest.is_some_and(|rest| holes_fit(&holes_of(behind), rest, places, tries))
}

#[test]
fn an_attacker_cannot_name_the_address() {
    let pattern = "Failed password for {User*} from {SourceIp:a} port {SourcePort:n} ssh2";
    let text = "Failed password for root from 6.6.6.6 port 1 ssh2 from 1.2.3.4 port 22 ssh2";
    let found = places(pattern, text).unwrap();
    assert_eq!(found[0].1, "root from 6.6.6.6 port 1 ssh2");
    assert_eq!(found[1].1, "1.2.3.4");
    assert_eq!(found[2].1, "22");
}

#[test]
fn a_name_before_an_address_ends_where_that_begins() {
    static TABLE: &[Message] = &[message(
        "by user {User*} {SourceIp:a} port {SourcePort:n} [preauth]",
        "",
        "",
    )];
    let pattern = Pattern::of(&TABLE[0]);
    for text in [
        "by user a 1.1.1.1 port 7 [preauth]",
        "by user a b 1.1.1.1 port 7 [preauth]",
        "by user a 6.6.6.6 port 1 [preauth] 1.1.1.1 port 7 [preauth]",
        "by user a 1.1.1.1 port 7 [preauth] port x",
        "by user a 1.1.1.1 port 7 [preauth] 2.2.2.2 port x",
        "by user a  port 7 [preauth]",
        "by user  1.1.1.1 port 7 [preauth]",
        "by user 1.1.1.1 port 7 [preauth]",
        "by user a 1.1.1.1 port x",
    ] {
        let (mut fast, mut slow) = (Places::new(), Places::new());
        let fitted = pattern.taken.fits(text, &mut fast);
        let slowly = fits_slowly(TABLE[0].pattern, text, &mut slow, &mut 0);
        assert_eq!(fitted, slowly, "{text}");
        let taken = |places: &Places<'_>| -> Vec<String> {
            places.iter().map(|place| place.text.to_owned()).collect()
        };
        if fitted {
            assert_eq!(taken(&fast), taken(&slow), "{text}");
        }
    }
}

#[test]
fn what_almost_fits_at_many_places_is_given_up_soon() {
    let pattern = "{A} a {B} a {C} a {D} a {E} a {F} a {G:n} end";
    let text = " a ".repeat(500);
    let mut tries = 0;
    assert!(!fits_slowly(pattern, &text, &mut Places::new(), &mut tries));
    assert!(tries < TRIES_OF_ALL_MAX + 200, "{tries}");
}

#[test]
fn ends_are_kept() {
    assert!(places("a {X}$", "a b").is_some());
    assert!(places("a {X:n}$", "a 1b").is_none());
    assert!(places("done$", "done.").is_none());
    assert!(
        places(
            "by {U*} {A:a} port {P:n}",
            "by a b 1.1.1.1 port 7 [preauth]"
        )
        .is_some()
    );
}
