//! Multipart forms, of which every parser reads something else.

use super::Sealed;
use crate::support::Ask;

/// A guess whose parts stand between boundaries `B`, under this type.
fn parts(kind: &str, body: &str) -> Vec<u8> {
    Ask::new("POST", "/login").body(kind, body.replace('\n', "\r\n")).bytes()
}

/// One with these headers of the part that names the victim.
fn with_head(head: &str) -> Vec<u8> {
    let body = format!(
        "--B\n{head}\n\nvictim\n--B\nContent-Disposition: form-data; name=\"password\"\n\nx\n--B--\n"
    );
    parts("multipart/form-data; boundary=B", &body)
}

#[test]
fn a_part_is_found_however_its_head_is_written() {
    let sealed = Sealed::new();
    for head in [
        "Content-Disposition: form-data; name=\"username\"",
        "content-disposition: FORM-DATA; NAME=\"username\"",
        "Content-Disposition: form-data; name=username",
        "Content-Disposition: form-data; name='username'",
        "Content-Disposition: form-data; name=\"UserName\"",
        "Content-Disposition: form-data; name=\" username\"",
        "Content-Disposition: form-data; name=\"username[]\"",
        "Content-Disposition: form-data; name=\"user\\name\"",
        "Content-Disposition: form-data; name=\"decoy\"; name=\"username\"",
        "Content-Disposition: form-data; name=\"username\"; name=\"decoy\"",
        "Content-Disposition: form-data; name*=utf-8''username",
        "Content-Disposition: form-data; name=decoy; name*=utf-8''username",
        "Content-Disposition: form-data; name*0=user; name*1=name",
        "Content-Disposition: form-data;name=\"username\"",
        "Content-Disposition:form-data; name = \"username\"",
        "Content-Disposition: form-data;\n name=\"username\"",
        "Content-Disposition: form-data; name=\"username\"; filename=\"x\"",
        "Content-Disposition: form-data; name=\"username\"; filename=",
        "Content-Disposition: form-data; filename=\"x\"; name=\"username\"",
        "Content-Disposition: attachment; name=\"username\"",
        "Content-Type: text/plain\nContent-Disposition: form-data; name=\"username\"",
        "Content-Disposition: form-data; name=\"username\"\nContent-Type: text/plain; charset=utf-16",
        "Content-Disposition: form-data; name=\"username\"\nContent-Transfer-Encoding: base64",
        "Content-Disposition: form-data; name=\"username\"\nContent-Transfer-Encoding: quoted-printable",
        "Content-Disposition: form-data; name=\"decoy\"\nContent-Disposition: form-data; name=\"username\"",
        "Content-Disposition : form-data; name=\"username\"",
    ] {
        sealed.stops(with_head(head));
    }
    let base64 = with_head(
        "Content-Disposition: form-data; name=\"username\"\nContent-Transfer-Encoding: base64",
    );
    sealed.stops(
        String::from_utf8(base64).unwrap().replace("\r\nvictim\r\n", "\r\ndmljdGltIA==\r\n"),
    );
}

const NAME: &str = "Content-Disposition: form-data; name=\"username\"\n\nvictim\n";
const SECRET: &str = "Content-Disposition: form-data; name=\"password\"\n\nx\n";
const DECOY: &str = "Content-Disposition: form-data; name=\"username\"\n\ndecoy\n";

#[test]
fn parts_are_found_wherever_boundaries_are() {
    let sealed = Sealed::new();
    let plain = format!("--B\n{NAME}--B\n{SECRET}--B--\n");
    for kind in [
        "multipart/form-data; boundary=B",
        "multipart/form-data; boundary=\"B\"",
        "Multipart/Form-Data; Boundary=B",
        "multipart/form-data; boundary=B; charset=utf-8",
        "multipart/form-data; boundary=A; boundary=B",
        "multipart/form-data; boundary=B; boundary=A",
        "multipart/form-data; x=\"boundary=A\"; boundary=B",
        "multipart/form-data, boundary=B",
        "multipart/form-data;boundary=B;",
        "multipart/form-data; boundary =B",
        "multipart/form-data; boundary=\"B",
        "multipart/form-data; boundary='B'",
        "multipart/form-data; boundary*=utf-8''B",
        "multipart/form-data; boundary*0=B",
        "multipart/form-data",
        "multipart/mixed; boundary=B",
        "multipart/related; boundary=B",
        "multipart/x; boundary=B",
        "text/plain; boundary=B",
        "text/plain",
        "application/x-www-form-urlencoded",
        "application/json",
        "",
    ] {
        sealed.stops(parts(kind, &plain));
    }
    for body in [
        format!("--B\n{DECOY}--B\n{NAME}--B\n{SECRET}--B--\n"),
        format!("--B\n{NAME}--B\n{DECOY}--B\n{SECRET}--B--\n"),
        format!("preamble\n--B\n{NAME}--B\n{SECRET}--B--\nepilogue"),
        format!("--B\n{DECOY}--B\n{SECRET}--B--\n--B\n{NAME}--B\n{SECRET}--B--\n"),
        format!("--B\n{NAME}--B\n{SECRET}"),
        format!("--B\n{NAME}--B\n{SECRET}--B"),
        format!("--B  \n{NAME}--B\t\n{SECRET}--B-- \n"),
        format!("--Bx\n{DECOY}--B\n{NAME}--B\n{SECRET}--B--\n"),
        format!("--B\n{NAME}\n--B\n{SECRET}\n--B--\n"),
        format!("\n\n--B\n{NAME}--B\n{SECRET}--B--\n"),
        format!(
            "--B\nContent-Type: multipart/mixed; boundary=C\n\n--C\n{NAME}--C--\n--B\n{SECRET}--B--\n"
        ),
        format!("username=victim&password=x&--B\n{DECOY}--B\n{SECRET}--B--\n"),
    ] {
        sealed.stops(parts("multipart/form-data; boundary=B", &body));
        let bare = Ask::new("POST", "/login").body("multipart/form-data; boundary=B", &body);
        sealed.stops(bare.bytes());
    }
    let spaced = plain.replace("--B", "--B C");
    sealed.stops(parts("multipart/form-data; boundary=\"B C\"", &spaced));
    sealed.stops(parts("multipart/form-data; boundary=B C", &spaced));
}

#[test]
fn a_file_does_not_push_the_name_out_of_sight() {
    let sealed = Sealed::new();
    for size in [1_000, 60_000, 100_000, 2_000_000] {
        let file = format!(
            "--B\nContent-Disposition: form-data; name=\"f\"; filename=\"f\"\n\n{}\n",
            "x".repeat(size)
        );
        sealed.stops(parts(
            "multipart/form-data; boundary=B",
            &format!("{file}--B\n{NAME}--B\n{SECRET}--B--\n"),
        ));
        sealed.stops(parts(
            "multipart/form-data; boundary=B",
            &format!("--B\n{NAME}--B\n{SECRET}{file}--B--\n"),
        ));
    }
    let many: String = (0..2_000)
        .map(|n| format!("--B\nContent-Disposition: form-data; name=\"{n}\"\n\n\n"))
        .collect();
    sealed.stops(parts(
        "multipart/form-data; boundary=B",
        &format!("{many}--B\n{NAME}--B\n{SECRET}--B--\n"),
    ));
}
