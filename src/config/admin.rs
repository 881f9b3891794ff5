//! Where operators ask: a unix socket, a loopback address with a token, or both.

use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use super::address::{socket, tcp};
use super::fields::Fields;
use super::node::Node;
use super::reader::Reader;
use super::scalar::text;
use super::{Admin, AdminTcp, keys};

/// What the addresses of one entry are.
#[derive(Debug, Default)]
struct Addresses {
    unix: Option<PathBuf>,
    tcp: Option<SocketAddr>,
}

/// Where operators ask: at which unix socket, and where over TCP.
pub(super) fn admin(fields: &Fields<'_>, reader: &mut Reader<'_>) -> (Admin, Option<AdminTcp>) {
    let Some(node) = fields.get("admin") else { return (Admin::Usual, None) };
    if node.is_text("none") {
        return (Admin::Nowhere, None);
    }
    let fields = Fields::of(node, &keys::ADMIN, reader);
    let token_file = fields.read("token_file", token_file, reader);
    let mut addresses = Addresses::default();
    for node in fields.get("address").map(Node::items).unwrap_or_default() {
        addresses.read(node, reader);
    }
    let Some(address) = addresses.tcp else {
        if let Some(node) = fields.get("token_file") {
            let right = "add an address such as \"127.0.0.1:9180\", or leave it out";
            reader.error(node, "goes with an address of TCP", right);
        }
        return (addresses.unix.map_or(Admin::Usual, Admin::At), None);
    };
    let Some(token_file) = token_file else {
        if fields.lacks("token_file") {
            let right = "such as `token_file: admin.token`, which is made if it is not there";
            reader.error(node, "needs `token_file`, as anybody here can connect over TCP", right);
        }
        return (Admin::Nowhere, None);
    };
    let unix = addresses.unix.map_or_else(|| Admin::Beside(beside(&token_file)), Admin::At);
    (unix, Some(AdminTcp { address, token_file }))
}

/// The socket for a successor, where only TCP is asked for.
fn beside(token_file: &Path) -> PathBuf {
    let mut path = token_file.as_os_str().to_owned();
    path.push(".sock");
    path.into()
}

impl Addresses {
    fn read(&mut self, node: &Node, reader: &mut Reader<'_>) {
        let Some(written) = text(node, reader) else { return };
        if let Some(path) = written.strip_prefix("unix:") {
            if self.unix.is_some() {
                reader.error(node, "is a second unix socket", "one is enough");
            }
            self.unix = socket(node, path, reader);
            return;
        }
        let right = "write a unix socket, such as \"unix:/run/loginward/admin.sock\", a loopback \
                     address such as \"127.0.0.1:9180\", or `admin: none`";
        if written.parse::<SocketAddr>().is_err() && !written.contains(':') {
            reader.error(node, format!("`{}` is no address", node.shown()), right);
            return;
        }
        let Some(address) = tcp(node, reader) else { return };
        if !address.ip().to_canonical().is_loopback() {
            let wrong = format!("`{}` can be reached from other machines", node.shown());
            reader.error(node, wrong, right);
        } else if self.tcp.is_some() {
            reader.error(node, "is a second address of TCP", "one is enough");
        }
        self.tcp = Some(address);
    }
}

/// The file with the token, which may not be there yet.
fn token_file(node: &Node, reader: &mut Reader<'_>) -> Option<PathBuf> {
    let path = reader.base.join(text(node, reader)?);
    let mode = std::fs::metadata(&path).map(|data| data.permissions().mode()).unwrap_or_default();
    if mode & 0o022 != 0 {
        let right = "run chmod go-w on it";
        reader.error(node, "others may change this file, and so become operators", right);
    } else if mode & 0o004 != 0 {
        reader.warn(node, "everybody on this machine may read this file", "run chmod o-r on it");
    }
    Some(path)
}
