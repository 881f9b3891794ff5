//! Who attacks, with what, what the guard promises against it, and what it cannot see.
//!
//! Tests are named by their paths; those that begin with `it::` run the program.
//!
//! # Who
//!
//! - **The guesser** wants into one account or into any. It has addresses (one, thousands), time,
//!   accounts of its own, and knows how the application and this guard read requests. It sends any
//!   bytes over any number of connections, and closes them when it likes.
//! - **The vandal** wants people locked out, the guard down, or its memory full.
//! - **The neighbour** shares an address with others, or is logged in: what it does must not cost
//!   others, nor clear what others did.
//!
//! The operator, the guard's host, trusted proxies and the network between the guard and the
//! application are trusted. The application is not hostile, but old and odd; of what it says, its
//! verdict on a login is all that is believed.
//!
//! # What is promised
//!
//! 1. **At most the limit reaches the application**, however many guesses come at once, and in
//!    whatever order they fail, wait and give up:
//!    `it::cap::of_a_thousand_guesses_from_one_address_five_reach_the_upstream`,
//!    `it::cap::of_a_thousand_guesses_from_two_hundred_addresses_five_reach_the_upstream`,
//!    `store::ledger::tests::no_interleaving_exceeds_a_limit_loses_a_place_or_forgets_a_waiter`;
//!    nor do more while one guard takes over from another:
//!    `it::upgrade_guard::guesses_that_come_to_both_at_once_reach_the_upstream_as_often_as_to_one`.
//! 2. **No guess is free**: not by closing, resetting or half-closing at any moment, nor where the
//!    application hangs, trickles, cuts off, or answers what is no answer:
//!    `it::no_free_guess::a_client_that_leaves_once_the_upstream_has_its_guess_is_counted`,
//!    `it::no_free_guess::an_upstream_that_hangs_is_given_up_and_the_guess_counts`,
//!    `it::evasions::answers::no_answer_but_a_proven_success_is_one`.
//! 3. **A login is one in every spelling** of its path, method and body that some application
//!    accepts: `it::evasions::paths::a_login_is_one_in_every_spelling_of_its_path`,
//!    `it::evasions::methods::a_password_makes_a_login_of_every_method`,
//!    `it::evasions::bodies::a_form_is_one_whatever_it_says_it_is`,
//!    `it::evasions::multipart::a_part_is_found_however_its_head_is_written`,
//!    `it::evasions::json::a_guess_is_found_in_every_way_to_write_json`,
//!    `policy::path::tests::any_tower_of_disguises_is_seen_through`,
//!    `policy::credentials::tests::differential::what_php_finds_the_guard_charges`,
//!    `policy::credentials::tests::differential::what_a_servlet_finds_the_guard_charges`,
//!    `policy::credentials::tests::differential::what_express_finds_the_guard_charges`.
//! 4. **What is ambiguous is charged to everybody it may mean, what cannot be read is refused**:
//!    `it::evasions::bodies::every_value_of_a_doubled_field_is_charged`,
//!    `it::evasions::bodies::a_body_in_a_strange_charset_is_refused`,
//!    `it::evasions::bodies::filler_does_not_push_a_guess_out_of_sight`,
//!    `it::evasions::bodies::several_guesses_in_one_body_are_several`.
//! 5. **An account is one** in every spelling, and names that differ in letters are different:
//!    `it::evasions::usernames::an_account_is_one_in_every_spelling`,
//!    `policy::account::tests::each_way_to_spell_a_name_differently_meets_it`,
//!    `policy::account::tests::names_that_differ_in_letters_stay_apart`.
//! 6. **A client is who it is**, not who it says it is:
//!    `it::identity::a_stranger_stays_who_it_is_whatever_it_says`,
//!    `policy::client::tests::whatever_a_client_writes_before_it_the_last_untrusted_hop_is_the_client`,
//!    `it::headers::a_stranger_says_nothing_of_itself_under_any_name`.
//! 7. **A second factor's codes are guesses** of the account whose session they come with, however
//!    the cookie is written and whoever else logs in beside it:
//!    `it::sessions::a_session_is_one_in_every_spelling_of_its_cookie`,
//!    `it::sessions::logins_beside_somebodys_session_do_not_push_its_owner_out`,
//!    `it::sessions::a_logout_in_one_of_two_sessions_ends_neither`.
//! 8. **Nothing is smuggled**: the guard and the application see the same requests, or the
//!    connection between them ends:
//!    `it::evasions::framing::a_request_that_is_framed_in_two_ways_is_forwarded_in_neither`,
//!    `it::evasions::framing::a_body_where_none_belongs_ends_the_upstreams_connection`,
//!    `it::evasions::framing::a_body_that_looks_like_a_request_ends_the_upstreams_connection`,
//!    `it::evasions::framing::a_body_that_did_not_come_with_its_head_ends_the_upstreams_connection`,
//!    `it::upgrade::no_other_upgrade_is_forwarded`.
//! 9. **A success is proven**, and clears only what its own client did:
//!    `it::evasions::answers::a_location_is_compared_whole`,
//!    `it::evasions::answers::what_could_change_the_shape_of_an_answer_does_not_go_upstream`,
//!    `it::basic::right_credentials_reset_only_where_others_are_refused`.
//! 10. **Floods neither flush nor blind** the counters, and nothing grows without bound:
//!     `it::rules::eviction::a_flood_changes_nothing_for_who_is_locked_or_nearly_so_or_comes_new`,
//!     `it::cap::exchanges_without_a_client_are_not_without_number`,
//!     `it::sessions::one_attempt_is_charged_to_a_handful_of_accounts_or_refused`,
//!     `it::streaming::a_client_that_stalls_in_a_body_is_told_and_cut_off`,
//!     `policy::credentials::tests::the_worst_bodies_are_read_in_bounded_time`.
//! 11. **Nothing of a password remains**, in logs, lists or `Debug`:
//!     `it::secrets::no_password_is_logged_at_any_level_in_any_format`,
//!     `it::secrets::what_holds_a_password_for_a_moment_does_not_show_it`; nor, in any form, in the
//!     file that keeps the counters (which has usernames, addresses, and the key of their hashes; it
//!     is for its owner alone): `it::snapshot::secrets::no_password_and_no_hash_of_one_is_in_the_file`.
//! 12. **Identities are not shared**: connections that NTLM or Negotiate authenticated stay with
//!     their client: `it::connection_auth::two_clients_never_share_an_identity`.
//! 13. **Whoever can have the guard killed gains nothing**, where it keeps its counters: what a
//!     client was told of is on the disk:
//!     `it::snapshot::kill::whatever_moment_it_is_killed_at_nothing_is_forgotten_that_somebody_was_told`,
//!     `it::snapshot::a_place_that_was_held_counts_as_a_failure`.
//! 14. **Who does none of this notices nothing**:
//!     `it::ordinary::browsers_log_in_as_ever`, `it::ordinary::uploads_of_any_size_stream_through`,
//!     `it::ordinary::polls_and_token_refreshes_are_no_attempts`,
//!     `it::cap::correct_logins_at_once_all_succeed_below_a_limit_of_five`.
//!
//! # What is not
//!
//! - **Locking somebody out on purpose.** Whoever can guess can use up the limit of an account. The
//!   limit by username and address together does not let strangers do that; the limit by username
//!   alone does, which is why its default is high and its cool-off short.
//! - **Guessing slowly from everywhere.** Below the limit by username nothing stops it.
//! - **Doors that no rule names**: another login page, an API, a password reset, XML-RPC.
//! - **An application that can be reached around the guard.**
//! - **Logins inside WebSocket frames**, GraphQL documents and other envelopes, and in bodies that
//!   no rule reads. NTLM, Negotiate and Digest logins pass and are not counted.
//! - **Rules that take a failure for a success.** `rule_suspect` finds those that never see one of
//!   the two, and `check` warns of success rules that the login page itself fulfils.
//! - **Attacks that are no guesses**: injection, session theft, floods of ordinary requests.
//! - **Where a head begins in the midst of what came before** (pipelined behind a body), `Content-Length`
//!   beside `Transfer-Encoding` goes unseen; such a request is framed once when it goes upstream, and
//!   its connection ends with it (RFC 9112, section 6.1).
