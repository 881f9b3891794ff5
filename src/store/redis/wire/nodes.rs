//! The servers that together have everything: one, or the primaries of a Cluster.

use std::collections::HashSet;

use redis::{Cmd, Value};

use super::{Asks, Call, Wire};
use crate::store::redis::outage::Outage;
use crate::store::redis::settings::Place;

/// One of the servers that together have everything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Node(pub(super) Option<u16>);

impl Wire {
    /// The servers that together have everything.
    ///
    /// # Errors
    ///
    /// As [`Wire::run`].
    pub async fn nodes(&self) -> Result<Vec<Node>, Outage> {
        if !matches!(self.settings().place, Place::Cluster(_)) {
            return Ok(vec![Node(None)]);
        }
        let mut asked = redis::cmd("CLUSTER");
        asked.arg("SLOTS");
        let answer = self.command(&asked).await?;
        let ranges = answer.as_sequence().unwrap_or_default();
        let mut known = HashSet::new();
        let nodes = ranges.iter().filter_map(|range| {
            let parts = range.as_sequence()?;
            let Value::Int(first) = parts.first()? else { return None };
            let primary = parts.get(2)?.as_sequence()?.get(2)?;
            // it is found by a slot that it has, whatever its address
            let slot = u16::try_from(*first).ok()?;
            known.insert(format!("{primary:?}")).then_some(Node(Some(slot)))
        });
        Ok(nodes.collect())
    }

    /// Any command, of just that server.
    ///
    /// # Errors
    ///
    /// As [`Wire::run`].
    pub async fn command_of(&self, node: Node, command: &Cmd) -> Result<Value, Outage> {
        self.call(Asks::Attempt, &Call::Of(node, command)).await
    }
}
