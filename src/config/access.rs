//! Who may come at all.

use crate::policy::route::{Access, Covers};

use super::fields::Fields;
use super::keys;
use super::network::networks;
use super::node::Node;
use super::reader::Reader;
use super::scalar::choice;

/// The rules that `node` describes.
pub(super) fn access(node: &Node, reader: &mut Reader<'_>) -> Option<Access> {
    let fields = Fields::of(node, &keys::ACCESS, reader);
    let mut access = Access::default();
    fields.set("deny", &mut access.deny, networks, reader);
    access.only_allow = fields.read("only_allow", networks, reader);
    fields.set("covers", &mut access.covers, covers, reader);
    match (fields.get("only_allow"), &access.only_allow) {
        (Some(list), Some(networks)) if networks.is_empty() => {
            let right = "name who may, or remove it to admit all";
            reader.error(list, "is empty and would admit nobody", right);
        }
        (None, _) if fields.lacks("deny") && fields.lacks("only_allow") => {
            reader.error(node, "denies nobody", "give it `deny` or `only_allow`");
        }
        _ => {}
    }
    Some(access)
}

fn covers(node: &Node, reader: &mut Reader<'_>) -> Option<Covers> {
    choice(node, &[("logins", Covers::Logins), ("everything", Covers::Everything)], reader)
}
