//! Lockstep keeps HubSpot and Salesforce telling the same story about every lead.
//!
//! One long-running daemon. Admins say in mapping files what agrees with what; the daemon asks both
//! platforms what changed, decides field by field, writes, and remembers. This page is the map.
//!
//! # The words
//!
//! One word for one thing, in code, logs and output alike.
//!
//! | word | meaning |
//! | --- | --- |
//! | side | HubSpot or Salesforce: [`record::Side`] |
//! | record | one object on one side: [`record::Record`] |
//! | link | two records known to be the same person, company or deal: [`journal::LinkEntry`] |
//! | base | the values that both sides last agreed on, the merge base: [`reconcile::Base`] |
//! | change | word that a record may have changed; a hint, never the truth: [`record::Change`] |
//! | settle | read both records of a link, decide, write, remember: [`daemon::settle`] |
//! | plan | what one settlement will do, as a value: [`reconcile::Plan`] |
//! | write | one record's changed fields on one side: [`platform::Write`] |
//! | conflict | a field that both sides changed differently since the base |
//! | hold | plans that a safety limit stopped until a person releases them: [`journal::Hold`] |
//! | reject | a write that the platform refused for good, kept with its reason |
//! | lane | how urgent what waits is: handoff, ordinary, backfill: [`journal::Lane`] |
//! | handoff | one qualified lead's way from marketing to sales and back: [`handoff::Handoff`] |
//! | history | who changed which field, from what to what, by which rule, and when |
//!
//! # The life of a change
//!
//! 1. A change event of Salesforce's tells of a record ([`daemon::stream`]), or a poll lists one that
//!    is newer than what was seen ([`daemon::poll`]); [`daemon::intake`] knows for each object which
//!    of them is relied upon. What they show to be agreed already, the echo of our own write above
//!    all, is dropped at the cost of a look into the journal.
//! 2. The rest becomes durable in the journal together with the cursor behind it: a crash repeats a
//!    page rather than lose it. Changes to one link fold into one entry, which waits in a lane.
//! 3. The settler takes a batch of entries, reads both sides with as few calls as the platforms
//!    allow, and asks [`reconcile::settle`] for a plan per link. That is a pure function of the
//!    mapping, the base, both records and the time.
//! 4. The safety limits look at the plans together ([`reconcile::limit`]).
//! 5. What is about to be written is journaled; then the writes go out, batched.
//! 6. The results come back item by item. Done: the new base and a line of history. Refused: a
//!    reject. Unknown (a cut connection): the link stays in line and is read again; nothing is ever
//!    blindly repeated.
//! 7. A slow sweep compares every link now and then, so that a lost change is a delay and not a loss.
//!
//! Two properties hold for every mapping, and are tested as properties: settling twice writes
//! nothing the second time; and after changes stop and faults heal, both sides agree on every mapped
//! field, or an open conflict, hold or reject names those that do not.
//!
//! # The rooms
//!
//! Each may name only what stands to the left of it; `tests/it/borders.rs` keeps that.
//!
//! ```text
//! record ← mapping ← reconcile ← journal ← daemon ← cli
//! record ← mapping ← handoff ←── journal
//! record ← platform ←───────────────────── daemon
//! record ← settings ←───────────────────── daemon
//!                              sandbox ←─────────── cli
//! ```
//!
//! | room | what it is | what it may not know |
//! | --- | --- | --- |
//! | [`record`] | the words that both sides share | clock, network, store: it is pure |
//! | [`mapping`] | the admin's files: parse, check, compile; conditions, transforms | pure as well |
//! | [`reconcile`] | decide one link, limit many, recognise who is the same | pure as well |
//! | [`handoff`] | one handoff's state, business time, service levels, whose turn it is, the report's figures | pure as well |
//! | [`platform`] | the trait of a side, the HTTP seam, signing in, one client a vendor | mappings, the journal, the sandbox |
//! | [`journal`] | what is remembered; the one room that knows a storage engine | the platforms |
//! | [`settings`] | defaults, file, environment, systemd | what they are used for |
//! | [`daemon`] | poll, take in, settle, sweep, serve; the one room that spawns tasks | how anything is printed |
//! | [`cli`] | one file per subcommand; the one room that prints | – |
//! | [`sandbox`] | both platforms as plain data behind one router each | every other room, the clients' wire types above all: a shared type would let one mistake hide in both |
//!
//! The seams are HTTP itself ([`platform::transport::Http`]: the network, or the sandbox's router in
//! process), the journal's store ([`journal::Store`]: the embedded database, or a memory that can
//! lose what was not synced), the clock ([`daemon::Clock`]) and seeded random numbers. A simulation
//! therefore runs the very clients, settler and recovery that production runs. What would make two
//! runs of one seed differ (the system's clock, unordered maps, an unbiased `select!`) is banned by
//! `clippy.toml`.
//!
//! # Where a newcomer goes
//!
//! | to | go to |
//! | --- | --- |
//! | follow one change from end to end | [`daemon::settle`] |
//! | add a transform | `mapping/transform/`, and its registry |
//! | add a check of mapping files | `mapping/check/`, and its registry |
//! | add a conflict rule | `reconcile/conflict/`, and its registry |
//! | sync another object | a file in `mappings/`, no code |
//! | follow a vendor's changed payload | that vendor's `platform/*/wire`, then the sandbox |
//! | count something for Prometheus | [`daemon::metrics`] |
//! | change what the page shows | `daemon/page/`, one file for each part and its templates |
//! | add a column of status | [`daemon::status`], then `cli/status.rs` |
//! | add a subcommand | a file in `cli/`, and [`cli::COMMANDS`] |
//! | add a setting | `settings/defaults.toml`, then its struct |
//! | make a platform misbehave in a new way | [`sandbox::fault::FAULTS`] |

pub mod cli;
pub mod daemon;
pub mod handoff;
pub mod journal;
pub mod mapping;
pub mod platform;
pub mod reconcile;
pub mod record;
pub mod sandbox;
pub mod settings;
