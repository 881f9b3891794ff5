//! A script that the store server carries out, and the hash that it is called by.

use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};

/// A script.
#[derive(Clone, Debug)]
pub struct Script {
    name: &'static str,
    code: &'static str,
    hash: String,
}

impl Script {
    /// The script `code`, which measurements call `name`.
    #[must_use]
    pub fn new(name: &'static str, code: &'static str) -> Self {
        let digest = digest(&SHA1_FOR_LEGACY_USE_ONLY, code.as_bytes());
        let hash = digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
        Self { name, code, hash }
    }

    /// What measurements call it.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        self.name
    }

    /// Calls it by its hash, which the server knows or not.
    pub(super) fn call(&self, keys: &[Vec<u8>], arguments: &[Vec<u8>]) -> redis::Cmd {
        command("EVALSHA", &self.hash, keys, arguments)
    }

    /// Calls it by its text, from which the server learns it.
    pub(super) fn teach(&self, keys: &[Vec<u8>], arguments: &[Vec<u8>]) -> redis::Cmd {
        command("EVAL", self.code, keys, arguments)
    }
}

fn command(verb: &str, script: &str, keys: &[Vec<u8>], arguments: &[Vec<u8>]) -> redis::Cmd {
    let given: usize = keys.iter().chain(arguments).map(Vec::len).sum();
    let (parts, bytes) = (3 + keys.len() + arguments.len(), verb.len() + script.len() + given + 8);
    let mut command = redis::Cmd::with_capacity(parts, bytes);
    command.arg(verb).arg(script).arg(keys.len());
    for part in keys.iter().chain(arguments) {
        command.arg(part.as_slice());
    }
    command
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_script_is_called_by_its_hash() {
        let script = Script::new("key", "return KEYS[1]");
        let called = script.call(&[b"dummy".to_vec()], &[b"1".to_vec()]).get_packed_command();
        let hash = "4a2267357833227dd98abdedb8cf24b15a986445";
        let wanted = format!(
            "*5\r\n$7\r\nEVALSHA\r\n$40\r\n{hash}\r\n$1\r\n1\r\n$5\r\ndummy\r\n$1\r\n1\r\n"
        );
        assert_eq!(String::from_utf8(called).unwrap(), wanted);
    }
}
