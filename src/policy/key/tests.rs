//! No two combinations share a key, and nothing of a key can be read.

use std::collections::HashMap;
use std::net::IpAddr;

use proptest::prelude::*;

use super::*;
use crate::policy::client::Prefixes;
use crate::policy::client::TrustedProxies;

const KEYER: Keyer = Keyer::new([7; 16]);
const BY: Fingerprinter = Fingerprinter::new([7; 16]);

/// A counter before it is a key.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Combination {
    site: String,
    login: Option<String>,
    limit: String,
    kind: ScopeKind,
    by: Vec<Parameter>,
    user: String,
    address: IpAddr,
    agent: String,
}

impl Combination {
    /// What alone may make a difference: only the values that are counted by, the account rather
    /// than its spelling, the networks rather than the address.
    fn meaning(&self) -> String {
        let client = ClientAddr::new(self.address);
        let rules = rules();
        let value = |parameter: &Parameter| match parameter {
            Parameter::Username => {
                format!("{:?}", Account::new(&self.user).map(|a| a.as_str().to_owned()))
            }
            Parameter::IpAddress => client.network(rules.address).to_string(),
            Parameter::IpNetwork => client.network(rules.network).to_string(),
            Parameter::UserAgent => self.agent.clone(),
        };
        let values: Vec<_> = self.by.iter().map(|by| (by.name(), value(by))).collect();
        format!("{:?}", (&self.site, &self.login, &self.limit, self.kind, values))
    }

    fn key(&self, keyer: &Keyer) -> Key {
        let names = ScopeNames {
            site: &self.site,
            login: self.login.as_deref(),
            limit: &self.limit,
            kind: self.kind,
        };
        let limit = Limit { by: self.by.clone(), ..Limit::usual() };
        let counted =
            CountedLimit { id: LimitId(0), scope: keyer.scope(names), limit: Arc::new(limit) };
        let site = Arc::from(self.site.as_str());
        let client = ClientAddr::new(self.address);
        let mut subject = subject(&site, client, &rules());
        subject = subject.calling_itself(Some(self.agent.as_str().into()));
        let account = Account::new(&self.user).expect("a name");
        subject.candidates = Candidates::from(Candidate {
            account: keyer.account(&account),
            shown: None,
            spelling: keyer.spelling(self.user.as_bytes()),
            name: None,
        });
        let limits = [counted.clone()];
        let counting = Counting { limits: &limits, fallback: &counted };
        let claim = claim(keyer, counting, (Arc::new(subject), client), 1);
        let [only] = claim.charges.as_slice() else { panic!("one counter: {claim:?}") };
        only.key
    }
}

fn rules() -> ClientRules {
    ClientRules {
        trusted: TrustedProxies::default(),
        header: http::HeaderName::from_static("x-forwarded-for"),
        address: Prefixes { v4: 32, v6: 64 },
        network: Prefixes { v4: 24, v6: 48 },
    }
}

fn by_vectors(user: &str, address: &str, by: &[Parameter]) -> Combination {
    Combination {
        site: "s".to_owned(),
        login: None,
        limit: "l".to_owned(),
        kind: ScopeKind::Limit,
        by: by.to_vec(),
        user: user.to_owned(),
        address: address.parse().expect("an address"),
        agent: String::new(),
    }
}

#[test]
fn what_axes_takes_for_one_key_is_two() {
    use Parameter::{IpAddress, Username};
    let key = |user, address, by: &[Parameter]| by_vectors(user, address, by).key(&KEYER);
    // V061, V062: a username that is the text of an address
    let by_name = key("10.2.2.2", "10.1.1.1", &[Username]);
    assert_ne!(by_name, key("u1", "10.2.2.2", &[IpAddress]));
    // V063, V064: no separator inside of a combination
    let both = [Username, IpAddress];
    assert_ne!(key("bob1", "1.2.3.4", &both), key("bob", "11.2.3.4", &both));
}

/// Every combination of values that resemble each other.
fn lookalikes() -> Vec<Combination> {
    use Parameter::{IpAddress, IpNetwork, UserAgent, Username};
    let parameters = [Username, IpAddress, IpNetwork, UserAgent];
    let subsets = (1..16u32).map(|bits| {
        let member = |at: &usize| bits & (1 << at) != 0;
        (0..4).filter(member).map(|at| parameters[at]).collect::<Vec<_>>()
    });
    let scopes = [
        ("s", None, "l", ScopeKind::Limit),
        ("s", None, "l", ScopeKind::Uncounted),
        ("s", Some(""), "l", ScopeKind::Limit),
        ("s", Some("l"), "", ScopeKind::Limit),
        ("sl", None, "", ScopeKind::Limit),
        ("", None, "sl", ScopeKind::Limit),
    ];
    let users = ["1", "10.2.2.2", "10.2.2.2/32", "agent", "2001:db8::/64"];
    let addresses = ["10.2.2.2", "10.2.2.0", "1.0.2.2", "2001:db8::", "::10.2.2.2"];
    let agents = ["", "1", "10.2.2.2", "agent"];
    let mut all = Vec::new();
    for by in subsets {
        for number in 0..scopes.len() * users.len() * addresses.len() * agents.len() {
            let (agent, rest) = (agents[number % agents.len()], number / agents.len());
            let (address, rest) = (addresses[rest % addresses.len()], rest / addresses.len());
            let (user, rest) = (users[rest % users.len()], rest / users.len());
            let (site, login, limit, kind) = scopes[rest];
            all.push(Combination {
                site: site.to_owned(),
                login: login.map(str::to_owned),
                limit: limit.to_owned(),
                kind,
                by: by.clone(),
                user: user.to_owned(),
                address: address.parse().expect("an address"),
                agent: agent.to_owned(),
            });
        }
    }
    all
}

#[test]
fn combinations_that_resemble_each_other_have_keys_of_their_own() {
    let mut meanings: HashMap<Key, String> = HashMap::new();
    let mut keys: HashMap<String, Key> = HashMap::new();
    for combination in lookalikes() {
        let (key, meaning) = (combination.key(&KEYER), combination.meaning());
        let known = meanings.entry(key).or_insert_with(|| meaning.clone());
        assert_eq!(*known, meaning, "one key for two");
        assert_eq!(*keys.entry(meaning).or_insert(key), key, "two keys for {combination:?}");
    }
    assert!(meanings.len() > 1000, "{}", meanings.len());
}

fn combination() -> impl Strategy<Value = Combination> {
    let by = prop::sample::subsequence(
        vec![Parameter::Username, Parameter::IpAddress, Parameter::IpNetwork, Parameter::UserAgent],
        1..=4,
    );
    let text = || "[ab0-9.:/ ]{0,3}";
    let user = "[ab0-9.:/]{1,4}";
    let kind = prop::sample::select(vec![ScopeKind::Limit, ScopeKind::Uncounted]);
    let address = prop_oneof![
        (0..4u8, 0..4u8).prop_map(|(a, b)| IpAddr::from([10, 0, a, b])),
        (0..4u16, 0..4u16).prop_map(|(a, b)| IpAddr::from([0x2001, a, b, 0, 0, 0, 0, 1])),
    ];
    (text(), prop::option::of(text()), text(), kind, by, user, address, text()).prop_map(
        |(site, login, limit, kind, by, user, address, agent)| Combination {
            site,
            login,
            limit,
            kind,
            by,
            user,
            address,
            agent,
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, ..ProptestConfig::default() })]

    #[test]
    fn keys_are_the_same_just_where_combinations_mean_the_same(
        a in combination(),
        b in combination(),
        mix in prop::array::uniform8(any::<bool>()),
    ) {
        // b with some of its values replaced by those of a, so that many are nearly the same
        let mut c = b;
        if mix[0] { c.site.clone_from(&a.site); }
        if mix[1] { c.login.clone_from(&a.login); }
        if mix[2] { c.limit.clone_from(&a.limit); }
        if mix[3] { c.kind = a.kind; }
        if mix[4] { c.by.clone_from(&a.by); }
        if mix[5] { c.user.clone_from(&a.user); }
        if mix[6] { c.address = a.address; }
        if mix[7] { c.agent.clone_from(&a.agent); }
        let same = a.meaning() == c.meaning();
        prop_assert_eq!(a.key(&KEYER) == c.key(&KEYER), same, "{:?} {:?}", a, c);
    }

    #[test]
    fn two_texts_are_hashed_as_two(text in "[ab]{2,6}", at in 0..6usize, other in 0..6usize) {
        let (at, other) = (at.min(text.len()), other.min(text.len()));
        let split = |at: usize| {
            let (left, right) = text.split_at(at);
            BY.fingerprint("p", &[left.as_bytes(), right.as_bytes()])
        };
        prop_assert_eq!(split(at) == split(other), at == other);
    }
}

#[test]
fn hashes_of_one_kind_are_none_of_another() {
    let account = Account::new("name").expect("a name");
    let hashes = [
        KEYER.account(&account).0,
        BY.fingerprint("", &[b"name"]).0,
        BY.fingerprint("name", &[]).0,
        KEYER.number(7),
        u128::from(KEYER.spelling(b"name")),
        by_vectors("name", "10.0.0.1", &[Parameter::Username]).key(&KEYER).0,
    ];
    for (at, hash) in hashes.iter().enumerate() {
        assert!(!hashes[..at].contains(hash), "{at}");
    }
}

/// The key dies with the process, and with it all that could be told from a hash.
#[test]
fn another_process_hashes_to_something_else() {
    let other = Keyer::new([8; 16]);
    let combination = by_vectors("name", "10.0.0.1", &[Parameter::Username]);
    assert_ne!(combination.key(&KEYER), combination.key(&other));
    assert_ne!(
        BY.fingerprint("p", &[b"secret"]),
        Fingerprinter::new([8; 16]).fingerprint("p", &[b"secret"])
    );
    assert_ne!(KEYER.spelling(b"name"), other.spelling(b"name"));
    assert_eq!(format!("{KEYER:?}"), "Keyer(…)");
}

#[test]
fn a_limit_whose_parameter_is_missing_is_skipped_and_one_that_excepts_is_none_at_all() {
    let limit = |id, by: &[Parameter], except: &[&str]| CountedLimit {
        id: LimitId(id),
        scope: u128::from(id),
        limit: Arc::new(Limit {
            by: by.to_vec(),
            except: crate::policy::client::Networks::new(
                except.iter().filter_map(|net| net.parse().ok()),
            ),
            ..Limit::usual()
        }),
    };
    let fallback = limit(9, &[Parameter::IpAddress], &[]);
    let charged = |limits: &[CountedLimit], users: &[&str], agent: Option<&str>| {
        let client = ClientAddr::new([10, 0, 0, 1].into());
        let mut subject = subject(&"s".into(), client, &rules());
        subject = subject.calling_itself(agent.map(Into::into));
        subject.candidates = users
            .iter()
            .map(|user| Candidate {
                account: KEYER.account(&Account::new(user).expect("a name")),
                shown: None,
                spelling: 0,
                name: None,
            })
            .collect();
        let counting = Counting { limits, fallback: &fallback };
        let claim = claim(&KEYER, counting, (Arc::new(subject), client), 1);
        let ids = claim.charges.iter().map(|charge| charge.limit.0).collect::<Vec<_>>();
        (ids, claim.counted)
    };
    let by_name = limit(1, &[Parameter::Username], &[]);
    let by_both = limit(2, &[Parameter::Username, Parameter::IpAddress], &[]);
    let by_agent = limit(3, &[Parameter::UserAgent], &[]);
    let all = [by_name.clone(), by_both, by_agent];
    assert_eq!(charged(&all, &["u"], Some("a")), (vec![1, 2, 3], Counted::Limits));
    assert_eq!(charged(&all, &["u"], None), (vec![1, 2], Counted::Limits));
    assert_eq!(charged(&all, &["u", "v"], None), (vec![1, 1, 2, 2], Counted::Limits));
    assert_eq!(charged(&all, &[], Some("a")), (vec![3], Counted::Limits));
    assert_eq!(charged(&all, &[], None), (vec![9], Counted::Fallback));
    let excepting = limit(4, &[Parameter::IpAddress], &["10.0.0.0/8"]);
    assert_eq!(charged(std::slice::from_ref(&excepting), &["u"], None), (vec![], Counted::Limits));
    assert_eq!(charged(&[excepting, by_name], &[], None), (vec![], Counted::Limits));
}

#[test]
fn networks_are_excepted_by_the_whole_address() {
    let excepts = |except: &str, client: &str| {
        let limit = CountedLimit {
            id: LimitId(1),
            scope: 1,
            limit: Arc::new(Limit {
                by: vec![Parameter::IpAddress],
                except: crate::policy::client::Networks::new([except.parse().expect("a network")]),
                ..Limit::usual()
            }),
        };
        let client = ClientAddr::new(client.parse().expect("an address"));
        let subject = Arc::new(subject(&"s".into(), client, &rules()));
        let counting = Counting { limits: std::slice::from_ref(&limit), fallback: &limit };
        claim(&KEYER, counting, (subject, client), 1).charges.is_empty()
    };
    assert!(excepts("2001:db8::5/128", "2001:db8::5"));
    assert!(!excepts("2001:db8::5/128", "2001:db8::6"));
    assert!(!excepts("2001:db8::/128", "2001:db8::5"), "though its /64 is counted as that");
    assert!(excepts("2001:db8::/48", "2001:db8::5"));
}
