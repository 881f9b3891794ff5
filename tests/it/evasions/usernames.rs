//! One account, under every name that some application takes for it.

use super::{ONE, Sealed, post};
use crate::support::Ask;

/// Other ways to write `victim`, URL-encoded.
const SPELLINGS: &[&str] = &[
    "victim",
    "ViCtIm",
    "VICTIM",
    "%56ictim",
    "victim%20",
    "%20victim",
    "+victim+",
    "victim%0d%0a",
    "victim%09",
    "%0bvictim%0c",
    "++++++++++++++++++++++++++++++++++++++++victim",
    "victim%C2%A0",
    "%E3%80%80victim",
    "vic%E2%80%8Btim",
    "vic%C2%ADtim",
    "%EF%BB%BFvictim",
    "victim%E2%80%AE",
    "vic%E2%81%A0tim",
    "vic%EF%B8%8Ftim",
    "%EF%BD%96ictim",
    "%EF%BD%96%EF%BD%89%EF%BD%83%EF%BD%94%EF%BD%89%EF%BD%8D",
    "%F0%9D%90%AFictim",
    "%E2%93%A5ictim",
    "v%C3%ADctim",
    "vi%CC%81ctim",
    "v%C4%B1ctim",
    "v%C4%B0ctim",
    "V%C4%B0CTIM",
    "%E2%85%B4ictim",
    "victim%00x",
    "victim%00",
    "%00victim",
    "victim%01",
    "vic%7ftim",
    "victim%ff1",
    "victim%c3",
    "victim%fe%fe",
    "CORP\\victim",
    "CORP%5Cvictim",
    "a%5Cb%5Cvictim",
    "%5Cvictim",
    "victim%5C",
    "corp%EF%BC%BCvictim",
    "%u0076ictim",
    "vic%u0074im",
    "%EF%BC%B6ictim",
];

#[test]
fn an_account_is_one_in_every_spelling() {
    let forms = SPELLINGS.iter().map(|name| post("/login", format!("username={name}&password=x")));
    Sealed::new().stops_all(forms);
}

#[test]
fn letters_that_only_case_folding_makes_alike_are_alike() {
    for (plain, spellings) in [
        ("kevin", &["%E2%84%AAevin", "KEVIN", "%EF%BD%8Bevin"][..]),
        ("sisi", &["%C5%BFi%C5%BFi", "SISI"]),
        ("strasse", &["stra%C3%9Fe", "STRA%E1%BA%9EE", "stra%DFe"]),
        ("oeuvre", &["%C5%93uvre"]),
        ("jose%CC%81", &["jose", "jos%C3%A9", "JOS%C3%89", "jos%E9"]),
        ("soren", &["s%C3%B8ren", "S%C3%98REN", "s%F8ren"]),
        ("lukasz", &["%C5%82ukasz"]),
        ("victim@corp", &["victim@corp.", "Victim@CORP", "victim@corp%20"]),
        ("a+b", &["a%20%20b", "a%09b", "A%C2%A0B"]),
    ] {
        let upstream = crate::support::Upstream::shop();
        let guard = crate::support::Guard::start(ONE, &upstream);
        let guess = |name: &str| {
            guard.client().send(post("/login", format!("username={name}&password=x"))).answer()
        };
        assert_eq!(guess(plain).verdict(), (403, "locked"), "{plain}");
        for name in spellings {
            assert_eq!(guess(name).verdict(), (403, "locked"), "{name}");
        }
        assert_eq!(upstream.hits(), 1);
    }
}

#[test]
fn a_name_too_long_for_a_column_is_cut_as_the_column_cuts_it() {
    let sealed = Sealed::new();
    let blank = "%20".repeat(5000);
    sealed.stops(post("/login", format!("username=victim{blank}&password=x")));
    let long = "a".repeat(2000);
    let upstream = crate::support::Upstream::shop();
    let guard = crate::support::Guard::start(ONE, &upstream);
    for more in ["", "b", "cc"] {
        guard.client().send(post("/login", format!("username={long}{more}&password=x"))).answer();
    }
    assert_eq!(upstream.hits(), 1, "beyond every column it is one name");
}

#[test]
fn rewrites_and_aliases_are_candidates_too() {
    let rewrites = ONE.replace(
        "        password:",
        "        username_rewrite:\n          - { regex: '^@([^:]+):.*$', to: '$1' }\n          - { regex: '^User:', to: '' }\n          - { regex: '_+$', to: '' }\n          - { regex: '<[^>]*>', to: '' }\n        password:",
    );
    let names = [
        "@victim:host",
        "User:Victim",
        "user:victim",
        "Victim_",
        "vic<b>tim",
        "%40VICTIM%3Ahost",
        "+@victim:x",
    ];
    let forms = names.iter().map(|name| post("/login", format!("username={name}&password=x")));
    let sealed = Sealed::with(&rewrites);
    for form in forms.enumerate().filter(|(at, _)| *at != 2) {
        sealed.stops(form.1);
    }
}

#[test]
fn mail_aliases_are_one_account_where_they_are_said_to_be() {
    let aliases =
        ONE.replace("        password:", "        email_aliases: true\n        password:");
    let upstream = crate::support::Upstream::shop();
    let guard = crate::support::Guard::start(&aliases, &upstream);
    let guess =
        |name: &str| guard.ask(&Ask::form("/login", &format!("username={name}&password=x")));
    assert_eq!(guess("vic.tim@gmail.com").verdict(), (403, "locked"));
    for name in [
        "victim@gmail.com",
        "v.i.c.t.i.m@gmail.com",
        "victim%2Bx@gmail.com",
        "vic.tim%2Bx%2By@GoogleMail.com",
        "VICTIM@GMAIL.COM.",
    ] {
        assert_eq!(guess(name).verdict(), (403, "locked"), "{name}");
    }
    assert_eq!(guess("vic.tim@other.example").verdict(), (403, "locked"));
    assert_eq!(guess("vic.tim%2Btag@other.example").verdict(), (403, "locked"));
    assert_eq!(upstream.hits(), 2);
    guess("victim@other.example");
    assert_eq!(upstream.hits(), 3, "elsewhere a dot is a letter");
    let guard = crate::support::Guard::start(ONE, &upstream);
    for name in ["vic.tim@gmail.com", "victim@gmail.com", "victim%2Bx@gmail.com"] {
        guard.ask(&Ask::form("/login", &format!("username={name}&password=x")));
    }
    assert_eq!(upstream.hits(), 6, "otherwise they are three");
}

#[test]
fn other_peoples_names_are_their_own() {
    let sealed = Sealed::new();
    for name in [
        "victor",
        "victims",
        "avictim",
        "victi",
        "victim1",
        "vic-tim",
        "vic.tim",
        "vic%20tim",
        "victim@corp",
        "%E2%9C%93",
        "m%C3%BCller",
    ] {
        sealed.passes(&Ask::form("/login", &format!("username={name}&password=right")));
    }
}
