//! Spellings of usernames, as tables and properties.

use proptest::prelude::*;

use super::*;

#[track_caller]
fn check(username: &str, expected: &str) {
    assert_eq!(fold(username), expected, "{username:?}");
}

#[test]
fn every_spelling_of_an_account_folds_to_it() {
    for spelling in [
        "victim",
        "ViCtIm",
        "victim ",
        "  victim\r\n",
        "\u{a0}victim\u{3000}",
        "vic\u{200b}tim",
        "vic\u{ad}tim",
        "\u{feff}victim",
        "\u{ff56}ictim",
        "\u{24e5}ictim",
        "\u{1d42f}ictim",
        "v\u{ed}ctim",
        "vi\u{301}ctim",
        "v\u{131}ctim",
        "V\u{130}CTIM",
        "victim\0",
        "vic\u{7}tim",
        "CORP\\victim",
        "CORP\\ victim",
        "a\\b\\victim",
        "victim\\",
        "corp\u{ff3c}victim",
        "vic\u{2060}tim",
        "vi\u{34f}ctim",
        "vic\u{fe0f}tim",
        "victim\t",
        "vi\u{20dd}ctim",
        "v\u{268}ctim",
        "\u{202e}victim",
        "\u{3164}victim",
        "vic\u{e0041}tim",
    ] {
        check(spelling, "victim");
    }
    check("user@corp.", "user@corp");
    check("User@Corp. . ", "user@corp");
    check("user.", "user.");
    check("john   \t doe", "john doe");
    check("\u{212a}elvin", "kelvin");
    check("\u{17f}am", "sam");
    check("stra\u{df}e", "strasse");
    check("STRA\u{1e9e}E", "strasse");
    check("S\u{f8}ren \u{141}\u{f3}d\u{17a}", "soren lodz");
    check("\u{c6}sop \u{152}uvre \u{de}or \u{110}uro", "aesop oeuvre thor duro");
    check("\u{fb01}sh", "fish");
    check("\u{3a3}\u{3af}\u{3c3}\u{3c5}\u{3c6}\u{3bf}\u{3c2}", "σισυφοσ");
    check("\u{1112}\u{1161}\u{11ab}", "한");
    check("   ", "");
    check("\u{200b}\0", "");
}

#[test]
fn filler_of_any_length_changes_nothing() {
    let long = |filler: &str| filler.repeat(30_000);
    check(&format!("{}victim", long("\u{3000}")), "victim");
    check(&format!("vic{}tim", long("\u{200b}")), "victim");
    check(&format!("victim{}", long("\u{a0}\0")), "victim");
    check(&format!("{}\\victim", long("x")), "victim");
    check(&format!("victim{}", long("\\ ")), "victim");
    check(&format!("victim{}", long("\\\u{200b}")), "victim");
    check(&long("Ab"), &"ab".repeat(LONGEST / 2));
    assert_eq!(fold(&long("\u{fdfa}")), fold(&fold(&long("\u{fdfa}"))));
    assert_eq!(fold(&long("\u{df} \u{1e9e}")), fold(&fold(&long("\u{df} \u{1e9e}"))));
    assert_eq!(fold(&long("\u{d55c} ")), fold(&fold(&long("\u{d55c} "))));
}

#[track_caller]
fn check_accounts(raw: &[u8], charset: Charset, rewrites: &[(&str, &str)], expected: &[&str]) {
    let rewrite = |(regex, to): &(&str, &str)| Rewrite {
        regex: Regex::new(regex).expect("a regex"),
        to: (*to).to_owned(),
    };
    let rewrites: Vec<_> = rewrites.iter().map(rewrite).collect();
    let found = accounts(raw, charset, &Naming { rewrites, ..Naming::default() });
    let found: Vec<_> = found.iter().map(Account::as_str).collect();
    assert_eq!(found, expected, "{:?}", String::from_utf8_lossy(raw));
}

#[test]
fn bytes_that_can_be_read_in_several_ways_are_several_accounts() {
    check_accounts(b"Victim", Charset::Utf8, &[], &["victim"]);
    check_accounts(b"victim\xff1", Charset::Utf8, &[], &["victimy1", "victim", "victim1"]);
    check_accounts(b"M\xfcller", Charset::Utf8, &[], &["muller", "m", "mller"]);
    check_accounts(b"victim\0x", Charset::Utf8, &[], &["victimx", "victim"]);
    check_accounts("vi\u{301}".as_bytes(), Charset::Western, &[], &["vi", "vii"]);
    check_accounts(b"  ", Charset::Utf8, &[], &[]);
    check_accounts(b"\0", Charset::Utf8, &[], &[]);
}

#[test]
fn each_rewrite_adds_an_account() {
    let matrix = ("^@([^:]+):.*$", "$1");
    let mail = ("@.*$", "");
    check_accounts(b"@alice:host", Charset::Utf8, &[matrix], &["@alice:host", "alice"]);
    check_accounts(b" @ALICE:Host", Charset::Utf8, &[matrix], &["@alice:host", "alice"]);
    check_accounts(b"alice", Charset::Utf8, &[matrix], &["alice"]);
    let chained = &["a+x@corp", "a+x", "a"];
    check_accounts(b"a+x@corp", Charset::Utf8, &[mail, ("\\+.*", "")], chained);
    check_accounts(b"aaaaaaaa", Charset::Utf8, &[("^a*$", "")], &["aaaaaaaa"]);
}

#[test]
fn aliases_of_a_mail_address_are_one_account_where_they_are_said_to_be() {
    let naming = Naming { aliases: MailAliases::Same, ..Naming::default() };
    let check = |name: &str, expected: &str| {
        let found = accounts(name.as_bytes(), Charset::Utf8, &naming);
        assert_eq!(found.iter().map(Account::as_str).collect::<Vec<_>>(), [expected], "{name}");
    };
    check("V.i.c+x+y@GoogleMail.com.", "vic@gmail.com");
    check("vic+x@corp.example", "vic@corp.example");
    check("v.ic@corp.example", "v.ic@corp.example");
    check("+x@corp.example", "+x@corp.example");
    check("+@gmail.com", "+@gmail.com");
    check("a+b", "a+b");
    check("@", "@");
    check("a+b@c@d", "a@d");
}

#[test]
fn rewrites_that_double_a_name_come_to_an_end() {
    let doubling = vec![("^(.*)$", "$1$1"); 40];
    let rewrites: Vec<_> = doubling
        .iter()
        .map(|(regex, to)| Rewrite { regex: Regex::new(regex).expect("one"), to: (*to).into() })
        .collect();
    assert!(accounts(b"ab", Charset::Utf8, &Naming { rewrites, ..Naming::default() }).len() < 20);
}

#[test]
fn an_account_is_not_shown_by_debug() {
    assert_eq!(format!("{:?}", Account::new("victim")), "Some(Account(…))");
}

#[test]
fn folding_a_single_character_twice_changes_nothing() {
    for c in ('\0'..='\u{1ffff}').chain('\u{e0000}'..='\u{e01ff}') {
        let once = fold(&format!("a{c}b"));
        assert_eq!(fold(&once), once, "U+{:04X}", u32::from(c));
    }
}

proptest! {
    #[test]
    fn folding_twice_changes_nothing(name in any::<String>()) {
        let once = fold(&name);
        prop_assert_eq!(fold(&once), once);
    }

    #[test]
    fn ascii_folds_as_if_it_were_any_text(name in "[ -~]{0,20}") {
        prop_assert_eq!(fold(&format!("{name}\u{200b}")), fold(&name));
    }

    #[test]
    fn no_bytes_panic(name in any::<Vec<u8>>()) {
        for account in accounts(&name, Charset::Western, &Naming::default()) {
            prop_assert!(!account.as_str().is_empty());
        }
    }

    #[test]
    fn names_that_differ_in_letters_stay_apart(
        a in "[a-z0-9αβγδабвг_+-]{1,12}",
        b in "[a-z0-9αβγδабвг_+-]{1,12}",
    ) {
        prop_assert_eq!(fold(&a) == fold(&b), a == b);
    }

    #[test]
    fn each_way_to_spell_a_name_differently_meets_it(
        name in "[a-z]{2,8}",
        at in 0..8usize,
        way in 0..9usize,
    ) {
        let at = at.min(name.len() - 1);
        let (head, tail) = name.split_at(at);
        let first = tail.chars().next().unwrap_or('a');
        let rest = tail.get(1..).unwrap_or_default();
        let wide = |c: char| char::from_u32(u32::from(c) + 0xfee0).unwrap_or(c);
        let circled = |c: char| char::from_u32(u32::from(c) - 0x61 + 0x24d0).unwrap_or(c);
        let spelling = match way {
            0 => name.to_uppercase(),
            1 => format!(" {name}\t"),
            2 => format!("{head}\u{200b}{tail}"),
            3 => format!("{head}{first}\u{301}{rest}"),
            4 => format!("{head}{}{rest}", wide(first)),
            5 => format!("{head}{}{rest}", circled(first)),
            6 => format!("CORP\\{name}"),
            7 => format!("\u{3000}{name}\u{a0}"),
            _ => format!("{head}\0{tail}"),
        };
        prop_assert_eq!(fold(&spelling), name);
    }
}
