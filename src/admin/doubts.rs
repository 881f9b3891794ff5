//! Whom a lock by hand refuses beyond those it may be meant for.

use ipnet::IpNet;

use crate::policy::client::{ClientAddr, ClientRules};
use crate::store::select::{Selector, shown_network};

/// What whoever locks `what` should know, in sentences.
#[must_use]
pub fn doubts(what: &Selector, clients: &ClientRules) -> Vec<String> {
    if what.account.is_some() || what.counter.is_some() {
        return Vec::new();
    }
    let site = what.site.as_ref().map(|site| format!(" at the site {site}")).unwrap_or_default();
    let Some(network) = what.network else {
        return vec![format!("this refuses everybody{site}: nobody can log in there")];
    };
    if network.prefix_len() == 0 {
        let family = if matches!(network, IpNet::V4(_)) { "IPv4" } else { "IPv6" };
        return vec![format!("this refuses everybody{site} who comes over {family}")];
    }
    let shown = shown_network(network);
    if clients.trusted.networks.meet(network) {
        return vec![format!(
            "{shown} is, or has in it, a trusted proxy's own address: no client is refused who \
             comes by way of it and is told apart, and everybody is who is not"
        )];
    }
    if ClientAddr::new(network.addr()).is_private() {
        return vec![format!(
            "{shown} is private: if a proxy in front has it that is not among `trusted_proxies`, \
             this refuses everybody who comes by way of it"
        )];
    }
    Vec::new()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_of_everybody_or_of_a_proxy_is_doubtful_and_no_other() {
        use crate::policy::account::Account;
        use crate::policy::client::{Networks, Prefixes, TrustedProxies};
        use crate::policy::key::Keyer;

        let net = |text: &str| text.parse::<IpNet>().expect("it is one");
        let networks = Networks::new([net("192.0.2.5/32"), net("10.0.0.0/8")]);
        let clients = ClientRules {
            trusted: TrustedProxies { networks, unix: false },
            header: http::HeaderName::from_static("x-forwarded-for"),
            address: Prefixes { v4: 32, v6: 64 },
            network: Prefixes { v4: 24, v6: 48 },
        };
        let of = |text| Selector { network: Some(net(text)), ..Selector::default() };
        let check = |what: &Selector, expected: &str| {
            let said = doubts(what, &clients).join("\n");
            assert_eq!(said.is_empty(), expected.is_empty(), "{said}");
            assert!(said.contains(expected), "{said}");
        };
        check(&of("0.0.0.0/0"), "everybody who comes over IPv4");
        check(&of("::/0"), "everybody who comes over IPv6");
        check(&of("10.1.2.3/32"), "trusted proxy's own address");
        check(&of("192.0.2.0/24"), "trusted proxy's own address");
        check(&of("192.168.1.1/32"), "is private");
        check(&of("203.0.113.0/24"), "");
        check(&Selector { site: Some("shop".into()), ..Selector::default() }, "at the site shop");
        let account = Account::new("bob").map(|bob| Keyer::new([0; 16]).account(&bob));
        check(&Selector { account, ..of("10.0.0.0/8") }, "");
    }
}
