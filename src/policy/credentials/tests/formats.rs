//! JSON and multipart bodies.

use super::*;

#[test]
fn json_is_read_whatever_it_is_called() {
    for body in [
        r#"{"username":"victim","password":"x"}"#,
        "\u{feff} {\"username\":\"victim\"}",
        r#"{"\u0075sername":"v\u0069ctim","password":"x"}"#,
        r#"{"Username":["victim"]}"#,
        r#"{"username":{"$eq":"victim"},"big":123456789012345678901234567890,"f":1.5e300}"#,
        r#"[{"username":"victim"}]"#,
    ] {
        for media in [JSON, "text/json", "application/vnd.api+json; charset=utf-8", FORM, "", "a/b"]
        {
            check(media, body, "victim", 1);
        }
    }
    check(JSON, r#"{"username":12345}"#, "12345", 1);
    check(JSON, r#"{"username":12345.0}"#, "12345", 1);
    check(JSON, r#"{"username":null,"password":null}"#, "", 1);
    // a model binder may be asked for `data`
    check(JSON, r#"{"data":{"username":"x"}}"#, "x", 1);
    // Go's decoder stops behind the first document
    check(FORM, r#"{"username":"victim"}&username=decoy"#, "victim decoy", 1);
    check("application/x-ndjson", "{\"a\":1}\n{\"username\":\"v\"}", "v", 1);
    check("application/x-ndjson", "[section]\n", "", 1);
    // a form within JSON, for upstreams that take any body for a form
    check(JSON, r#"{"x":"&username=victim&password=x&"}"#, "victim", 1);
}

#[test]
fn json_that_is_none_is_refused() {
    for body in [
        "{\"username\":\"victim\"",
        "{'username':'victim'}",
        "{username:1}",
        "username=victim",
        "{} x",
        "{\"username\":\"\\ud800\"}",
        "{\"a\":NaN}",
        "\u{feff}\u{feff}{}",
        "/**/{}",
    ] {
        check_malformed(JSON, body);
    }
    check_malformed(JSON, b"{\"username\":\"\xff\"}");
    check_malformed(FORM, "{'username':'victim'}");
    let wide: Vec<u8> = "{\"username\":\"v\"}".encode_utf16().flat_map(u16::to_le_bytes).collect();
    check_malformed(FORM, &wide);
    check_malformed("a/b", [b"\xff\xfe", &*wide].concat());
    check_malformed(JSON, &wide);
    let deep = |depth| format!("{}1{}", "[".repeat(depth), "]".repeat(depth));
    check(JSON, deep(64), "", 1);
    check_malformed(JSON, deep(65));
    check_malformed(JSON, deep(20_000));
}

pub(super) fn part(head: &str, value: &str) -> String {
    format!("--B\r\nContent-Disposition: form-data; {head}\r\n\r\n{value}\r\n")
}

fn login() -> String {
    part("name=\"username\"", "victim") + &part("name=\"password\"", "x")
}

#[test]
fn a_multipart_form_is_read() {
    let file =
        part("name=\"f\"; filename=\"a \u{e9}.txt\"\r\nContent-Type: text/plain", "a\n--\nb");
    for body in [
        login() + "--B--\r\n",
        login() + "--B--",
        file + &login() + "--B--\r\n",
        login().replace("name=\"username\"", "NAME=username") + "--B--\r\n",
        login().replace("Content-Disposition", "content-disposition") + "--B--\r\n",
        login().replace("\"username\"", "\"username[]\"") + "--B--\r\n",
        login().replace("\r\n\r\nv", "\r\nContent-Transfer-Encoding: 8bit\r\n\r\nv") + "--B--\r\n",
        login().replace("\"username\"", "\"username\"; filename=\"x\"") + "--B--\r\n",
        login().replace("\"username\"", "\"username\"; filename*=utf-8''x") + "--B--\r\n",
    ] {
        check(PARTS, &body, "victim", 1);
        check("multipart/form-data; charset=utf-8; Boundary=\"B\"", &body, "victim", 1);
        check(FORM, &body, "victim", 1);
    }
    check(PARTS, login() + &login().replace("victim", "decoy") + "--B--", "victim decoy", 1);
    check("multipart/related; boundary=B", "--B\r\nA: b\r\n\r\nx\r\n--B--", "", 1);
    check(PARTS, "--B--\r\n", "", 1);
    // a field that is called like a parameter of the part's head
    let drupal = rule(vec![field("name")], vec![field("pass")]);
    let body = part("name=\"name\"", "victim") + "--B--\r\n";
    let headers = headers(&[(CONTENT_TYPE, PARTS)]);
    let found = offered(&drupal, None, &headers, body.as_bytes());
    assert_eq!(found, Ok(("victim".to_owned(), 1)));
}

#[test]
fn a_multipart_form_that_parsers_read_differently_is_refused() {
    let good = login() + "--B--\r\n";
    for (from, to) in [
        ("--B--\r\n", ""),
        ("--B--\r\n", "--B--\r\nusername=decoy"),
        ("--B--\r\n", "--B-"),
        ("\r\n--B--", "\n--B--"),
        ("\r\n--B--", "\r--B--"),
        ("--B--", "--Bx\r\n\r\nx\r\n--B--"),
        ("--B--", "--B \r\n\r\nx\r\n--B--"),
        ("victim", "victim\n--B\nx"),
        ("\r\n", "\n"),
        ("name=\"username\"", "name='username'"),
        ("name=\"username\"", "name*=utf-8''username"),
        ("name=\"username\"", "name=\"username\"; name=\"decoy\""),
        ("name=\"username\"", "name=user name"),
        ("name=\"username\"", "name=\"user\\\"name\""),
        ("name=\"username\"", "filename=\"a; name=b\"; name=\"username\""),
        ("name=\"username\"", "name=\"username\\\"; x=\"y\""),
        ("name=\"username\"", "name =\"username\""),
        ("; name=\"username\"", ""),
        ("form-data; name=\"username\"", "form-data;\r\n name=\"username\""),
        ("form-data; name=\"username\"", "attachment; name=\"username\""),
        ("Content-Disposition:", "Content-Disposition :"),
        ("\r\n\r\nvictim", "\r\nContent-Transfer-Encoding: base64\r\n\r\ndmljdGlt"),
        ("\r\n\r\nvictim", "\r\nContent-Disposition: form-data; name=\"x\"\r\n\r\nvictim"),
        ("\r\n\r\nvictim", "\r\nContent-Type: multipart/mixed; boundary=C\r\n\r\nvictim"),
        ("\r\n\r\nvictim", "\r\nX: a\nContent-Type: a/b\r\n\r\nvictim"),
        ("\r\n\r\nvictim", "\r\nvictim"),
        ("\r\n\r\nvictim", "\r\nX: \0\r\n\r\nvictim"),
    ] {
        assert!(good.contains(from), "{from}");
        check_malformed(PARTS, good.replacen(from, to, if from == "\r\n" { 99 } else { 1 }));
    }
    check_malformed(PARTS, format!("preamble\r\n{good}"));
    check_malformed(PARTS, "username=victim&password=x");
    check_malformed("multipart/form-data", &good);
    check_malformed("multipart/form-data; boundary=B; boundary=C", &good);
    check_malformed("multipart/form-data; boundary=\"B C\"", &good);
    check_malformed("multipart/form-data; boundary='B'", &good);
    check_malformed("multipart/form-data; boundary*=B", &good);
    check_malformed("text/plain; multipart/form-data", &good);
    let charset = good.replacen("\r\n\r\nv", "\r\nContent-Type: a/b; charset=ibm037\r\n\r\nv", 1);
    let headers = headers(&[(CONTENT_TYPE, PARTS)]);
    let found = offered(&usual(), None, &headers, charset.as_bytes());
    assert_eq!(found, Err(Unreadable::Charset));
}
