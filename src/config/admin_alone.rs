//! Where operators ask, read of a configuration that something else is wrong with: the guard that
//! runs was started with an earlier one, and it is now that somebody has to ask it.

use std::path::Path;

use super::admin::admin;
use super::expand::expand;
use super::fields::Fields;
use super::node::{Kind, Node};
use super::reader::{MOST_BYTES, Reader, read};
use super::{Admin, AdminTcp, Settings, yaml};

impl Settings {
    /// Where operators ask by the configuration at `path`, whatever else may be wrong with it;
    /// `None` where even that cannot be read.
    #[must_use]
    pub fn admin_alone(path: &Path) -> Option<(Admin, Option<AdminTcp>)> {
        let text = read(path).ok().filter(|text| text.len() as u64 <= MOST_BYTES)?;
        let root = yaml::parse(&text).or_else(|_| yaml::parse(&block(&text))).ok()?;
        let base = path.parent().unwrap_or_else(|| Path::new("."));
        let file = path.display().to_string();
        find(root, &mut Reader::new(&text, base, &file))
    }
}

/// What the file says of `admin` and of nothing else.
fn find(mut root: Node, reader: &mut Reader<'_>) -> Option<(Admin, Option<AdminTcp>)> {
    if let Kind::Map(entries) = &mut root.kind {
        entries.retain(|entry| entry.name.as_deref() == Some("admin"));
        if entries.len() > 1 {
            return None;
        }
    }
    expand(&mut root, reader);
    let found = admin(&Fields { node: &root }, reader);
    (!reader.has_errors_since(0)).then_some(found)
}

/// The lines of a text, which as a whole is no YAML, that have `admin` in them.
fn block(text: &str) -> String {
    let is_inside = |line: &&str| line.is_empty() || line.starts_with([' ', '#']);
    let mut lines = text.lines().skip_while(|line| !line.starts_with("admin:"));
    let first = lines.next().unwrap_or("{}");
    let block: Vec<&str> = std::iter::once(first).chain(lines.take_while(is_inside)).collect();
    block.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_read_whatever_else_is_wrong_and_not_guessed() {
        let dir = tempfile::tempdir().expect("a directory");
        let file = dir.path().join("c.yaml");
        let check = |text: &str, expected: Option<Admin>| {
            std::fs::write(&file, text).expect("it is written");
            assert_eq!(Settings::admin_alone(&file).map(|found| found.0), expected, "{text}");
        };
        let own = Some(Admin::At(dir.path().join("a.sock")));
        let admin = "admin: { address: \"unix:a.sock\" }";
        check(&format!("{admin}\nsites: 1\nworkres: \"${{NOT_SET_ANYWHERE}}\""), own.clone());
        check(&format!("sites: [\n{admin}\nlisten: \"x"), own.clone());
        check("sites: [\nadmin:\n  address: \"unix:a.sock\"\n# more\nlisten: }", own);
        check("sites: [", Some(Admin::Usual));
        check("sites: 1\nadmin: none", Some(Admin::Nowhere));
        check("sites: 1\nadmin: { adress: \"unix:a.sock\" }", None);
        check(&format!("{admin}\nadmin: {{ address: \"unix:b.sock\" }}\nsites: 1"), None);
    }
}
