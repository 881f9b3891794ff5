//! What `loginward explain` is given and cannot explain, or not as a whole.

use super::{SITES, Stage};

#[test]
fn it_says_what_is_wrong_with_what_it_is_given() {
    let stage = Stage::set(SITES);
    let check = |arguments: &[&str], status: i32, message: &str| {
        let said = stage.run(arguments);
        assert_eq!((said.status, said.out.as_str()), (status, ""), "{arguments:?}");
        assert!(said.err.contains(message), "{arguments:?}: {}", said.err);
    };
    check(&[], 2, "required");
    check(&["-H", "nonsense", "http://shop.test/"], 2, "`nonsense` is no header field");
    check(&["--request", "/nowhere"], 2, "/nowhere: No such file");
    check(&["http://shop test/"], 2, "is no URL");
    let file = stage.file("answer.http", b"<html>");
    check(&["--response", &file, "http://shop.test/"], 2, "no answer");
    let file = stage.file("answer.http", b"HTTP/1.1 200 OK\n");
    check(&["--response", &file, "http://shop.test/"], 2, "no empty line ends its head");
    std::fs::write(stage.0.path().join("config.yaml"), "sites: 1").unwrap();
    check(&["http://shop.test/"], 2, "config.yaml:1:8: ");
}

#[test]
fn a_body_that_breaks_off_is_explained_and_a_head_that_does_is_not() {
    let stage = Stage::set(SITES);
    let head = "POST /login HTTP/1.1\r\nHost: shop.test\r\n";
    for body in [
        "Content-Length: 40\r\n\r\nuser=bob&password=s3cret",
        "Transfer-Encoding: chunked\r\n\r\n17\r\nuser=bob&pass",
    ] {
        let file = stage.file("request.http", format!("{head}{body}").as_bytes());
        let said = stage.run(&["--request", &file]);
        assert_eq!((said.status, said.err.as_str()), (0, ""), "{body}");
        let answer = "answer      400 from the guard (unclear): the body broke off\n";
        assert!(said.out.ends_with(answer), "{}", said.out);
    }
    for cut in ["", "\n", "POST /login HTT", head, "GET / HTTP/1.1\nHost: shop.test\n"] {
        let file = stage.file("request.http", cut.as_bytes());
        let said = stage.run(&["--request", &file]);
        assert_eq!((said.status, said.out.as_str()), (1, ""), "{cut:?}");
        assert!(said.err.contains("an empty line ends its head"), "{cut:?}: {}", said.err);
    }
}
