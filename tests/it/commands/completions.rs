//! `loginward completions` and `loginward man`.

use std::io::Write as _;
use std::process::Stdio;

use super::help::COMMANDS;
use super::program::run;
use crate::support::program;

/// The flags that a command's help names.
fn flags(command: &str) -> Vec<String> {
    let help = run(&[command, "--help"]).out;
    let words = help.lines().filter(|line| line.trim_start().starts_with('-'));
    let words = words.flat_map(|line| line.split([' ', ',', '=']).map(str::to_owned));
    words.filter(|word| word.starts_with("--") && word.len() > 2).collect()
}

#[test]
fn a_real_bash_completes_commands_and_flags() {
    let Some(mut bash) = program("bash") else { return };
    let script = run(&["completions", "bash"]);
    assert_eq!((script.status, script.err.as_str()), (0, ""));
    let ask = |words: &str, last: &str| {
        format!(
            "COMP_WORDS=({words} '{last}'); COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1)); COMPREPLY=()\n\
             _loginward loginward '{last}' \"${{COMP_WORDS[COMP_CWORD - 1]}}\"; \
             echo \"${{COMPREPLY[@]}}\"\n"
        )
    };
    let asked = [
        ask("loginward", ""),
        ask("loginward explain", "--"),
        ask("loginward run", "--up"),
        ask("loginward", "exp"),
    ];
    let text = format!("set -e\n{}\n{}", script.out, asked.concat());
    bash.args(["--norc", "-s"]).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = bash.spawn().unwrap();
    child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success());
    let text = String::from_utf8(output.stdout).unwrap();
    let lines: Vec<Vec<&str>> =
        text.lines().map(|line| line.split_whitespace().collect()).collect();
    for command in COMMANDS {
        assert!(lines[0].contains(&command), "{command}: {text}");
    }
    for flag in flags("explain") {
        assert!(lines[1].contains(&flag.as_str()), "{flag}: {text}");
    }
    assert_eq!(lines[2], ["--upgrade", "--upstream"]);
    assert_eq!(lines[3], ["explain", "export"]);
}

#[test]
fn there_are_completions_for_other_shells() {
    for (shell, begin) in [("zsh", "#compdef loginward"), ("fish", "# ")] {
        let said = run(&["completions", shell]);
        assert!(said.out.starts_with(begin), "{shell}: {:.100}", said.out);
        for command in COMMANDS {
            assert!(said.out.contains(command), "{shell}: {command}");
        }
        let Some(mut real) = program(shell) else { continue };
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), &said.out).unwrap();
        assert!(real.arg("-n").arg(file.path()).status().unwrap().success(), "{shell}");
    }
    assert_eq!(run(&["completions", "cmd.exe"]).status, 2);
}

/// What a page says, without the typesetting of hyphens and fonts.
fn plain(page: &str) -> String {
    page.replace("\\-", "-").replace("\\fB", "").replace("\\fR", "").replace("\\fI", "")
}

#[test]
fn the_manual_has_a_page_for_each_command_with_all_its_flags() {
    let dir = tempfile::tempdir().unwrap();
    let said = run(&["man", "--dir", dir.path().to_str().unwrap()]);
    assert_eq!((said.status, said.err.as_str()), (0, ""));
    let whole = plain(&run(&["man"]).out);
    for command in COMMANDS {
        assert!(whole.contains(&format!("loginward-{command}(1)")), "{command}: {whole}");
        let file = dir.path().join(format!("loginward-{command}.1"));
        let written = std::fs::read_to_string(&file).unwrap();
        assert_eq!(run(&["man", command]).out.trim_end(), written.trim_end());
        let page = plain(&written);
        for flag in flags(command) {
            assert!(page.contains(&flag), "{flag} of {command}: {page}");
        }
        assert!(page.contains("Exit status:"), "{command}");
    }
    assert_eq!(run(&["man", "frobnicate"]).status, 2);
    let said = run(&["man", "--dir", "/nowhere/at/all"]);
    assert_eq!(said.status, 1);
    assert!(
        said.err.starts_with("error: /nowhere/at/all/loginward.1: No such file"),
        "{}",
        said.err
    );
}

#[test]
fn groff_has_nothing_to_say_against_its_pages() {
    for command in COMMANDS {
        let Some(mut groff) = program("groff") else { return };
        let page = run(&["man", command]).out;
        groff
            .args(["-Kutf8", "-man", "-ww", "-z", "-Tutf8"])
            .stdin(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = groff.spawn().unwrap();
        child.stdin.take().unwrap().write_all(page.as_bytes()).unwrap();
        let output = child.wait_with_output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success() && said.is_empty(), "{command}: {said}");
    }
}
