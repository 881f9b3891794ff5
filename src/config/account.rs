//! Whom the process is once it listens.

use std::ffi::CString;

use nix::unistd::{Gid, Group, Uid, User};

use super::RunAs;
use super::fields::Fields;
use super::node::{Kind, Node};
use super::reader::Reader;
use super::scalar::{name, whole};

/// The user and the group; `None` where none is named.
pub(super) fn run_as(fields: &Fields<'_>, reader: &mut Reader<'_>) -> Option<RunAs> {
    let group = fields.read("group", group, reader);
    let Some(node) = fields.get("user") else {
        if let Some(node) = fields.get("group") {
            reader.error(node, "goes with `user`", "name the user too");
        }
        return None;
    };
    let mut whom = user(node, reader)?;
    match group {
        Some(gid) => whom.gid = gid,
        None if whom.name.is_none() && !fields.has("group") => {
            reader.error(node, "has no name on this machine", "write `group` too");
        }
        None => {}
    }
    Some(whom)
}

/// A user by name or number.
fn user(node: &Node, reader: &mut Reader<'_>) -> Option<RunAs> {
    if matches!(node.kind, Kind::Number(_)) {
        let uid = whole(node, 0..=u32::MAX - 1, reader)?;
        let known = User::from_uid(Uid::from_raw(uid)).ok().flatten();
        let nameless = RunAs { name: None, uid, gid: uid };
        return Some(known.as_ref().map_or(nameless, run_as_user));
    }
    match User::from_name(name(node, reader)?) {
        Ok(Some(user)) => Some(run_as_user(&user)),
        Ok(None) => {
            let right = "create it, such as with `useradd --system`, or write its number";
            reader.error(node, format!("there is no user `{}`", node.shown()), right);
            None
        }
        Err(error) => {
            reader.error(node, format!("cannot look up `{}`: {error}", node.shown()), "");
            None
        }
    }
}

fn run_as_user(user: &User) -> RunAs {
    RunAs { name: CString::new(&*user.name).ok(), uid: user.uid.as_raw(), gid: user.gid.as_raw() }
}

/// A group by name or number.
fn group(node: &Node, reader: &mut Reader<'_>) -> Option<u32> {
    if matches!(node.kind, Kind::Number(_)) {
        return whole(node, 0..=u32::MAX - 1, reader);
    }
    match Group::from_name(name(node, reader)?) {
        Ok(found) => {
            if found.is_none() {
                let right = "create it, such as with `groupadd --system`, or write its number";
                reader.error(node, format!("there is no group `{}`", node.shown()), right);
            }
            found.map(|group| Gid::as_raw(group.gid))
        }
        Err(error) => {
            reader.error(node, format!("cannot look up `{}`: {error}", node.shown()), "");
            None
        }
    }
}
