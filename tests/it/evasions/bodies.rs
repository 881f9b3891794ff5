//! Forms, read the way any upstream might.

use std::io::Write as _;

use flate2::Compression;
use flate2::write::{DeflateEncoder, GzEncoder, ZlibEncoder};

use super::{GUESS, ONE, Sealed, post};
use crate::support::{Ask, Guard, Upstream};

const FORM: &str = "application/x-www-form-urlencoded";

/// A guess whose body says it is a `kind`.
fn typed(kind: &str, body: impl AsRef<[u8]>) -> Vec<u8> {
    Ask::new("POST", "/login").body(kind, body).bytes()
}

#[test]
fn every_value_of_a_doubled_field_is_charged() {
    let sealed = Sealed::new();
    for form in [
        "username=decoy&username=victim&password=x",
        "username=victim&username=decoy&password=x",
        "username=&username=victim&password=x",
        "username=a&username=b&username=victim&password=x",
        "username[]=victim&password=x",
        "username[0]=victim&password=x",
        "username%5B%5D=victim&password=x",
        "username[x]=victim&password=x",
        "username[]=decoy&username[]=victim&password=x",
        "username[a][b]=victim&password=x",
        "username=decoy&username[]=victim&password[]=x",
        "username=decoy;username=victim&password=x",
        "username=victim;password=x",
        "a=b;username=victim;password=x",
    ] {
        sealed.stops(post("/login", form));
    }
}

#[test]
fn query_and_body_are_read_together() {
    let sealed = Sealed::new();
    for (query, form) in [
        ("username=victim", "username=decoy&password=x"),
        ("username=decoy", "username=victim&password=x"),
        ("username=victim", "password=x"),
        ("password=x", "username=victim"),
        ("username=victim&password=x", ""),
        ("username=victim&password=x", "a=b"),
        ("USERNAME=victim", "Password=x"),
        ("username=decoy;username=victim", "password=x"),
    ] {
        sealed.stops(post(&format!("/login?{query}"), form));
    }
}

#[test]
fn cookies_stand_in_for_what_is_missing() {
    let sealed = Sealed::new();
    let with = |cookie, form| Ask::form("/login", form).with("Cookie", cookie).bytes();
    sealed.stops(with("username=victim", "password=x"));
    sealed.stops(with("a=b; username=victim; c=d", "password=x"));
    sealed.stops(with("Username=victim", "password=x"));
    sealed.stops(with("username=victim; password=x", ""));
}

#[test]
fn field_names_are_known_in_every_spelling() {
    let sealed = Sealed::new();
    for form in [
        "+username=victim&password=x",
        "++username=victim&++password=x",
        "%20username=victim&password=x",
        "username%00x=victim&password=x",
        "username%00=victim&password%00y=x",
        "USERNAME=victim&PASSWORD=x",
        "UserName=victim&Password=x",
        "%75sername=victim&%70assword=x",
        "%55sername=victim&password=x",
        "%u0075sername=victim&password=x",
        "username+=victim&password=x",
        "username%09=victim&password%0a=x",
        "?username=victim&password=x",
        "%EF%BB%BFusername=victim&password=x",
        "\u{feff}username=victim&password=x",
        "%EF%BD%95sername=victim&password=x",
        "u%C5%BFername=victim&pa%C5%BFsword=x",
        "username[=victim&password=x",
        "username]=victim&password=x",
        "'username'=decoy&username=victim&password=x",
        "username=victim&password",
        "username=victim&password=",
        "&&&username=victim&&password=x&&",
        "username=victim\r\n&password=x",
        "\r\nusername=victim&password=x",
    ] {
        sealed.stops(post("/login", form));
    }
    let dotted = ONE
        .replace("form: username", "form: \"user[name]\"")
        .replace("form: password", "form: user_pass");
    let upstream = Upstream::shop();
    let guard = Guard::start(&dotted, &upstream);
    for form in [
        "user[name]=victim&user_pass=x",
        "user.name=victim&user.pass=x",
        "User.Name=victim&user+pass=x",
        "user_name=victim&user_pass=x",
        "user%5bname%5d=victim&user%2epass=x",
        "user[name=victim&user_pass=x",
        "user['name']=victim&user_pass=x",
    ] {
        assert_eq!(guard.ask(&Ask::form("/login", form)).verdict(), (403, "locked"), "{form}");
    }
    assert_eq!(upstream.hits(), 1);
}

#[test]
fn a_body_in_a_strange_charset_is_refused() {
    let sealed = Sealed::new();
    let ebcdic = "%A4%A2%85%99%95%81%94%85=%A5%89%83%A3%89%94&%97%81%A2%A2%A6%96%99%84=x";
    for charset in [
        "ibm037",
        "IBM037",
        "\"ibm037\"",
        "'ibm037'",
        "ibm500",
        "cp1026",
        "utf-16",
        "utf-16le",
        "utf-16be",
        "utf-32",
        "utf-7",
        "utf_16",
        "x-user-defined",
        "shift_jis",
        "hz",
        "none",
        "utf-8x",
        "cp037",
        "utf-8; charset=ibm037",
        "ibm037; charset=utf-8",
        "utf-8, ibm037",
        "",
    ] {
        for form in [ebcdic, GUESS] {
            sealed.stops(typed(&format!("{FORM};charset={charset}"), form));
            sealed.stops(typed(&format!("{FORM}; Charset = {charset}"), form));
        }
    }
    let utf16: Vec<u8> = GUESS.encode_utf16().flat_map(u16::to_le_bytes).collect();
    sealed.stops(typed(&format!("{FORM}; charset=utf-16le"), &utf16));
    sealed.stops(typed("application/json; charset=utf-16le", &utf16));
}

#[test]
fn a_form_is_one_whatever_it_says_it_is() {
    let sealed = Sealed::new();
    for kind in [
        FORM,
        "Application/X-WWW-Form-URLencoded ; x",
        "application/x-www-form-urlencoded;charset=utf-8",
        "application/x-www-form-urlencoded; charset=ISO-8859-1",
        "application/x-www-form-urlencoded; charset=\"windows-1252\"",
        "application/x-www-form-urlencoded, application/json",
        "application/json, application/x-www-form-urlencoded",
        "application/x-www-form-urlencoded,multipart/form-data; boundary=x",
        "multipart/form-data; boundary=x, application/x-www-form-urlencoded",
        "text/plain",
        "text/html",
        "application/octet-stream",
        "application/xml",
        "application/json",
        "image/png",
        "x",
        "/",
        ";",
        "",
        " application/x-www-form-urlencoded",
        "application/x-www-form-urlencoded\t",
        "application/x-www-form-urlencoded;;;=",
        "application/x-www-form-urlencoded foo",
        "application/x-www-form-urlencodedx",
    ] {
        sealed.stops(typed(kind, GUESS));
    }
    let length = format!("Content-Length: {}", GUESS.len());
    for fields in [
        String::new(),
        format!("Content-Type: {FORM}\r\nContent-Type: application/json"),
        format!("Content-Type: text/plain\r\nContent-Type: {FORM}"),
        format!("Content_Type: {FORM}"),
        "Content-Type:".to_owned(),
    ] {
        let fields =
            if fields.is_empty() { length.clone() } else { format!("{fields}\r\n{length}") };
        sealed.stops(format!("POST /login HTTP/1.1\r\nHost: a\r\n{fields}\r\n\r\n{GUESS}"));
    }
}

fn encoded(with: &str) -> Vec<u8> {
    let bytes = GUESS.as_bytes();
    match with {
        "gzip" => {
            let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
            encoder.write_all(bytes).unwrap();
            encoder.finish().unwrap()
        }
        "zlib" => {
            let mut encoder = ZlibEncoder::new(Vec::new(), Compression::default());
            encoder.write_all(bytes).unwrap();
            encoder.finish().unwrap()
        }
        _ => {
            let mut encoder = DeflateEncoder::new(Vec::new(), Compression::default());
            encoder.write_all(bytes).unwrap();
            encoder.finish().unwrap()
        }
    }
}

#[test]
fn a_coded_body_is_read_or_refused() {
    let sealed = Sealed::new();
    let with = |coding: &str, body: &[u8]| {
        Ask::new("POST", "/login").with("Content-Encoding", coding).body(FORM, body).bytes()
    };
    for (coding, body) in [
        ("gzip", encoded("gzip")),
        ("x-gzip", encoded("gzip")),
        ("GZIP", encoded("gzip")),
        ("deflate", encoded("zlib")),
        ("deflate", encoded("deflate")),
        ("gzip, gzip", encoded("gzip")),
        ("identity, gzip", encoded("gzip")),
        ("gzip, identity", encoded("gzip")),
        ("gzip;q=1", encoded("gzip")),
        ("br", encoded("gzip")),
        ("compress", encoded("gzip")),
        ("zstd", encoded("gzip")),
        ("unknown", GUESS.into()),
        ("identity", GUESS.into()),
        ("", GUESS.into()),
        ("gzip", GUESS.into()),
        ("deflate", GUESS.into()),
        ("br", GUESS.into()),
        ("base64", GUESS.into()),
    ] {
        sealed.stops(with(coding, &body));
    }
    let doubled = Ask::new("POST", "/login")
        .with("Content-Encoding", "gzip")
        .with("Content-Encoding", "identity");
    sealed.stops(doubled.body(FORM, encoded("gzip")).bytes());
    // one that no limit of ours holds: a thousand times what it says
    let mut bomb = GzEncoder::new(Vec::new(), Compression::best());
    bomb.write_all(GUESS.as_bytes()).unwrap();
    bomb.write_all(&vec![b'&'; 20 << 20]).unwrap();
    sealed.stops(with("gzip", &bomb.finish().unwrap()));
}

#[test]
fn a_chunked_body_is_read_however_it_is_cut() {
    let sealed = Sealed::new();
    let head = format!(
        "POST /login HTTP/1.1\r\nHost: a\r\nContent-Type: {FORM}\r\nTransfer-Encoding: chunked\r\n"
    );
    let single: String = GUESS.chars().map(|c| format!("1\r\n{c}\r\n")).collect();
    sealed.stops(format!("{head}\r\n{single}0\r\n\r\n"));
    let extended: String = GUESS.chars().map(|c| format!("1;a=\"b\"\r\n{c}\r\n")).collect();
    sealed.stops(format!("{head}\r\n{extended}0\r\n\r\n"));
    let (name, rest) = GUESS.split_at(9);
    let size = |text: &str| format!("{:x}\r\n{text}\r\n", text.len());
    let trailed = format!(
        "{head}Trailer: username\r\n\r\n{}{}0\r\nusername: x\r\n\r\n",
        size(name),
        size(rest)
    );
    sealed.stops(trailed);
    sealed.stops(format!("{head}\r\n{}0000\r\n\r\n", size(GUESS).replacen("1a", "0001A", 1)));
}

#[test]
fn filler_does_not_push_a_guess_out_of_sight() {
    let sealed = Sealed::new();
    for size in [1_000, 20_000, 60_000, 66_000, 200_000, 1_000_000] {
        let filler = "x".repeat(size);
        sealed.stops(post("/login", format!("filler={filler}&{GUESS}")));
        sealed.stops(post("/login", format!("username=decoy&f={filler}&{GUESS}")));
        sealed.stops(post("/login", format!("{GUESS}&f={filler}")));
    }
    for count in [900, 1_000, 5_000, 20_000] {
        let dummies: String = (0..count).map(|n| format!("d{n}=&")).collect();
        sealed.stops(post("/login", format!("{dummies}{GUESS}")));
        let decoys: String = (0..count).map(|n| format!("username=d{n}&")).collect();
        sealed.stops(post("/login", format!("{decoys}{GUESS}")));
    }
    let ampersands = "&".repeat(60_000);
    sealed.stops(post("/login", format!("{ampersands}{GUESS}")));
}

#[test]
fn filler_of_a_path_that_serves_other_things_too_is_scanned() {
    let everywhere = ONE.replace("path: /login", "path: \"/*\"");
    let sealed = Sealed::with(&everywhere);
    for size in [1_000, 66_000, 300_000] {
        let filler = "x".repeat(size);
        for form in [
            format!("filler={filler}&{GUESS}"),
            format!("username=decoy&f={filler}&{GUESS}"),
            format!("{GUESS}&f={filler}"),
            format!("f={filler}&%70assword=x&username=victim"),
        ] {
            let mut client = crate::support::Client::from("127.0.0.2", &sealed.guard);
            client.send(post("/anything", form));
            client.answer_head();
        }
    }
    let whole = sealed.upstream.requests().into_iter().filter(|request| {
        request.text().contains("password=") && request.text().contains("victim")
    });
    assert_eq!(whole.count(), 1, "the first, which locked the account");
}

#[test]
fn several_guesses_in_one_body_are_several() {
    let five = ONE.replace("failures: 1", "failures: 5");
    for form in [
        "username=victim&password=a&password=b&password=c&password=d&password=e&password=f",
        "username=victim&password[]=a&password[]=b&password[]=c&password[]=d&password[]=e&password[]=f",
        "username=victim&password[0]=a&password[1]=b&password[2]=c&password[3]=d&password[4]=e&password=f",
    ] {
        let upstream = Upstream::shop();
        let guard = Guard::start(&five, &upstream);
        assert_eq!(guard.ask(&Ask::form("/login", form)).verdict(), (400, "refused"), "{form}");
        assert_eq!(upstream.hits(), 0);
    }
    let upstream = Upstream::shop();
    let guard = Guard::start(&five, &upstream);
    let three = "username=victim&password=a&password=b&password=c";
    assert_eq!(guard.ask(&Ask::form("/login", three)).status, 200);
    assert_eq!(guard.ask(&Ask::form("/login", three)).verdict(), (400, "refused"));
    let two = "username=victim&password=d&password=e";
    assert_eq!(guard.ask(&Ask::form("/login", two)).verdict(), (403, "locked"));
    assert_eq!(upstream.hits(), 2);
}

#[test]
fn a_spray_in_one_body_is_charged_to_everybody_or_refused() {
    let sealed = Sealed::new();
    sealed.stops(post("/login", "username=a&username=b&username=c&username=victim&password=x"));
    sealed.stops(post(
        "/login",
        "username=a&username=b&username=c&username=d&username=victim&password=x",
    ));
    sealed.stops(post("/login", "username=x&username=victim&password=x"));
    sealed.passes(&Ask::form("/login", "username=x&username=y&password=x"));
}

#[test]
fn an_expectation_changes_nothing() {
    let sealed = Sealed::new();
    for expect in ["100-continue", "100-Continue", "100-continue, x"] {
        let ask = Ask::form("/login", GUESS).with("Expect", expect);
        let mut client = crate::support::Client::from("127.0.0.2", &sealed.guard);
        client.send(ask.bytes());
        let mut answer = client.answer_head();
        if answer.as_ref().is_some_and(|answer| answer.status == 100) {
            answer = client.answer_head();
        }
        assert!(answer.is_none_or(|answer| answer.status >= 400), "{expect}");
        assert_eq!(sealed.upstream.hits(), 1);
    }
}
