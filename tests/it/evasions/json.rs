//! JSON, by whatever name.

use super::{ONE, Sealed};
use crate::support::{Ask, Guard, Upstream};

fn json(kind: &str, body: impl AsRef<[u8]>) -> Vec<u8> {
    Ask::new("POST", "/login").body(kind, body).bytes()
}

const RULE: &str = "        username: [{ form: username }, { json: /username }]\n        password: [{ form: password }, { json: /password }]\n";

fn sealed() -> Sealed {
    let rule = ONE.replace(
        "        username: { form: username }\n        password: { form: password }\n",
        RULE,
    );
    Sealed::with(&rule)
}

#[test]
fn a_guess_is_found_in_every_way_to_write_json() {
    let sealed = sealed();
    for body in [
        r#"{"username":"victim","password":"x"}"#,
        r#"{"username":"decoy","username":"victim","password":"x"}"#,
        r#"{"username":"victim","username":"decoy","password":"x"}"#,
        r#"{"\u0075sername":"victim","password":"x"}"#,
        r#"{"username":"\u0076ictim","password":"x"}"#,
        r#"{"username":"v\u0131ctim","password":"x"}"#,
        r#"{"Username":"victim","PASSWORD":"x"}"#,
        r#"{"username":["victim"],"password":"x"}"#,
        r#"{"username":["decoy","victim"],"password":"x"}"#,
        r#"{"username":{"$eq":"victim"},"password":"x"}"#,
        r#"{"username":{"$in":["a","victim"]},"password":{"$ne":1}}"#,
        r#"[{"username":"victim","password":"x"}]"#,
        r#"{"user":{"username":"victim"},"username":"victim","password":"x"}"#,
        r#"{"username":"victim","password":null}"#,
        r#"{"username":"victim","password":12345}"#,
        r#"{"username":"victim","password":["x"]}"#,
        "\u{feff}{\"username\":\"victim\",\"password\":\"x\"}",
        "  \n\t{ \"username\" : \"victim\" , \"password\" : \"x\" }  ",
        r#"{"username":"victim","password":"x"} trailing"#,
        r#"{"username":"victim","password":"x"}{"username":"decoy"}"#,
        r#"{"username":"victim","password":"x",}"#,
        r#"{'username':'victim','password':'x'}"#,
        r#"{username:"victim",password:"x"}"#,
        "{\"username\":\"victim\",/* c */\"password\":\"x\"}",
        "{\"username\":\"victim\" // c\n,\"password\":\"x\"}",
        "{\"username\":\"vic\ttim\",\"password\":\"x\"}",
        r#"{"username":"victim\u0000","password":"x"}"#,
        r#"{"username":"victim\ud800","password":"x"}"#,
        r#"{"user.name":1,"username":"victim","password":"x"}"#,
    ] {
        for kind in [
            "application/json",
            "Application/JSON; charset=utf-8",
            "application/vnd.api+json",
            "text/json",
            "text/plain",
            "application/x-www-form-urlencoded",
            "",
        ] {
            sealed.stops(json(kind, body));
        }
    }
    let bad = [
        &b"{\"username\":\"victim\xff\",\"password\":\"x\"}"[..],
        b"{\"username\":\"victim\",\"password\":\"\xff\"}",
    ];
    sealed.stops_all(bad.map(|body| json("application/json", body)));
}

#[test]
fn json_in_other_encodings_is_refused() {
    let sealed = sealed();
    let text = r#"{"username":"victim","password":"x"}"#;
    let utf16 =
        |bytes: fn(u16) -> [u8; 2]| text.encode_utf16().flat_map(bytes).collect::<Vec<u8>>();
    let utf32: Vec<u8> = text.chars().flat_map(|c| u32::from(c).to_le_bytes()).collect();
    let (little, big) = (utf16(u16::to_le_bytes), utf16(u16::to_be_bytes));
    for body in [
        &little,
        &big,
        &utf32,
        &[&[0xff, 0xfe], &*little].concat(),
        &[&[0xfe, 0xff], &*big].concat(),
    ] {
        for kind in [
            "application/json",
            "application/json; charset=utf-16",
            "application/json; charset=utf-32",
            "text/plain",
        ] {
            sealed.stops(json(kind, body));
        }
    }
}

#[test]
fn depth_and_length_hide_nothing() {
    let sealed = sealed();
    for depth in [10, 60, 100, 1_000, 20_000] {
        let (open, close) = ("[".repeat(depth), "]".repeat(depth));
        sealed.stops(json(
            "application/json",
            format!("{{\"x\":{open}{close},\"username\":\"victim\",\"password\":\"x\"}}"),
        ));
        let (open, close) = ("{\"a\":".repeat(depth.min(9_000)), "}".repeat(depth.min(9_000)));
        sealed.stops(json(
            "application/json",
            format!("{{\"x\":{open}1{close},\"username\":\"victim\",\"password\":\"x\"}}"),
        ));
    }
    let filler = "x".repeat(70_000);
    sealed.stops(json(
        "application/json",
        format!("{{\"f\":\"{filler}\",\"username\":\"victim\",\"password\":\"x\"}}"),
    ));
}

#[test]
fn several_guesses_in_one_document_are_several() {
    let five = ONE.replace("failures: 1", "failures: 5").replace(
        "        username: { form: username }\n        password: { form: password }\n",
        RULE,
    );
    let batch = |n: usize| {
        let one = |n| format!("{{\"username\":\"victim\",\"password\":\"{n}\"}}");
        format!("[{}]", (0..n).map(one).collect::<Vec<_>>().join(","))
    };
    let array = |n: usize| {
        let words = (0..n).map(|n| format!("\"{n}\"")).collect::<Vec<_>>().join(",");
        format!("{{\"username\":\"victim\",\"password\":[{words}]}}")
    };
    for body in [batch(6), array(6), array(500)] {
        let upstream = Upstream::shop();
        let guard = Guard::start(&five, &upstream);
        let ask = Ask::new("POST", "/login").body("application/json", &body);
        assert_eq!(guard.ask(&ask).verdict(), (400, "refused"), "{body}");
        assert_eq!(upstream.hits(), 0);
    }
}
