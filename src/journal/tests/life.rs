//! What every journal does, on every store.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};

use super::support::*;
use crate::journal::{
    Commit, CursorName, Error, HistoryBounds, Hold, Intent, Lane, LinkState, MappingState,
    MatchChoice, MatchEntry, Purge, RejectEntry, Subject,
};
use crate::reconcile::{OpenConflict, PlannedWrite, Resolution, WriteAction};
use crate::record::{LinkId, Number, PerSide, Raw, RecordRef, Side, Value};

#[test]
fn a_link_is_found_by_every_way() {
    on_each(async |journal| {
        let ids = journal.new_links(2).await.unwrap();
        assert_eq!(ids, [LinkId(1), LinkId(2)]);
        let mut entry = link(1, "101", "00Q1");
        entry.fingerprints = [journal.fingerprint("ada@example.com")].into();
        let mut commit = Commit::new();
        commit.link(entry.clone());
        journal.commit(commit).await.unwrap();
        assert_eq!(journal.link(LinkId(1)).await.unwrap().unwrap(), entry);
        let found = journal.links_of("people", vec![sf("00Q1"), sf("00Q2"), hs("101")]).await;
        assert_eq!(found.unwrap(), [Some(entry.clone()), None, Some(entry.clone())]);
        assert_eq!(journal.links_of("deals", vec![hs("101")]).await.unwrap(), [None]);
        let print = journal.fingerprint("ada@example.com");
        assert_eq!(journal.links_with("people", print).await.unwrap(), [entry.clone()]);
        let other = journal.fingerprint("bob@example.com");
        assert_eq!(journal.links_with("people", other).await.unwrap(), []);
        assert_eq!(journal.links("people", None, 10).await.unwrap(), [entry]);
        assert_eq!(journal.links("people", Some(LinkId(1)), 10).await.unwrap(), []);
    });
}

#[test]
fn a_record_belongs_to_one_live_link() {
    on_each(async |journal| {
        let mut commit = Commit::new();
        commit.link(link(1, "101", "00Q1"));
        journal.commit(commit).await.unwrap();
        let mut commit = Commit::new();
        commit.link(link(2, "102", "00Q1"));
        let error = journal.commit(commit).await.unwrap_err();
        assert_eq!(
            error,
            Error::Taken { mapping: "people".into(), record: sf("00Q1"), by: LinkId(1) }
        );
        assert_eq!(journal.link(LinkId(2)).await.unwrap(), None, "nothing of it was written");
        let mut ended = link(1, "101", "00Q1");
        ended.state =
            LinkState::Unlinked { deleted: Side::HubSpot, reason: "deleted".into(), at: at(5) };
        let mut commit = Commit::new();
        commit.link(link(2, "102", "00Q1")).link(ended);
        journal.commit(commit).await.unwrap();
        let found = journal.links_of("people", vec![sf("00Q1"), hs("101")]).await.unwrap();
        let ids: Vec<_> = found.iter().map(|link| link.as_ref().unwrap().id).collect();
        assert_eq!(ids, [LinkId(2), LinkId(1)]);
    });
}

#[test]
fn a_change_waits_until_it_is_settled() {
    on_each(async |journal| {
        let outcome = journal.hear(
            vec![
                heard(hs("101"), Lane::Ordinary, 1),
                heard(hs("101"), Lane::Handoff, 2),
                heard(hs("102"), Lane::Backfill, 0),
            ],
            None,
        );
        let outcome = outcome.await.unwrap();
        assert_eq!((outcome.new, outcome.folded, outcome.erased), (2, 1, 0));
        let taken = journal.take(10, at(3), BTreeSet::new()).await.unwrap();
        let subjects: Vec<_> = taken.iter().map(|entry| entry.subject.to_string()).collect();
        assert_eq!(subjects, ["HubSpot contacts 101", "HubSpot contacts 102"]);
        assert_eq!(taken[0].lane, Lane::Handoff);
        assert!(journal.take(10, at(3), BTreeSet::new()).await.unwrap().is_empty());

        journal.hear(vec![heard(hs("101"), Lane::Ordinary, 4)], None).await.unwrap();
        let mut commit = Commit::new();
        for entry in &taken {
            commit.finish(entry.subject.clone(), entry.version);
        }
        commit.link(link(1, "101", "00Q1"));
        let done = journal.commit(commit).await.unwrap();
        assert_eq!(done.again, [taken[0].subject.clone()]);
        let again = journal.take(10, at(5), BTreeSet::new()).await.unwrap();
        assert_eq!(again.len(), 1);
        assert_eq!(again[0].subject, Subject::Link(LinkId(1)), "the link inherits what was heard");
        let statistics = journal.statistics().await.unwrap();
        assert_eq!(statistics.mappings["people"]["pending.handoff"], 1);
        assert_eq!(statistics.mappings["people"].get("pending.backfill"), None);
    });
}

#[test]
fn a_record_that_was_replaced_still_leads_to_its_link() {
    on_each(async |journal| {
        let mut commit = Commit::new();
        commit.link(link(1, "101", "00Q1")).link(link(2, "102", "00Q2"));
        journal.commit(commit).await.unwrap();
        // The Lead becomes a Contact.
        let contact = RecordRef::salesforce("Contact", "0031");
        let mut moved = link(1, "101", "00Q1");
        moved.records.salesforce = Some(contact.clone());
        let mut commit = Commit::new();
        commit.link(moved);
        journal.commit(commit).await.unwrap();
        let found = journal.links_of("people", vec![sf("00Q1"), contact]).await.unwrap();
        for link in found {
            let link = link.unwrap();
            assert_eq!(link.id, LinkId(1));
            assert_eq!(link.aliases, [sf("00Q1")].into());
        }
        // The second contact is merged into the first.
        let mut retired = link(2, "102", "00Q2");
        retired.state = LinkState::Retired { into: LinkId(1) };
        let mut commit = Commit::new();
        commit.link(retired);
        journal.commit(commit).await.unwrap();
        let found = journal.links_of("people", vec![hs("102"), sf("00Q2")]).await.unwrap();
        assert!(found.into_iter().all(|link| link.unwrap().id == LinkId(1)));
        let heir = journal.link(LinkId(1)).await.unwrap().unwrap();
        assert_eq!(heir.aliases, [hs("102"), sf("00Q1"), sf("00Q2")].into());
        let counters = &journal.statistics().await.unwrap().mappings["people"];
        assert_eq!((counters["links.active"], counters["links.retired"]), (1, 1));
        assert!(journal.check().await.unwrap().is_sound());
        // The heir ends; whom the retired link left behind may belong to somebody else from then on.
        let mut ended = heir;
        ended.state =
            LinkState::Unlinked { deleted: Side::HubSpot, reason: "deleted".into(), at: at(3) };
        let mut commit = Commit::new();
        commit.link(ended).link(link(3, "103", "00Q2"));
        journal.commit(commit).await.unwrap();
        let found = journal.links_of("people", vec![sf("00Q2")]).await.unwrap();
        assert_eq!(found[0].as_ref().unwrap().id, LinkId(3));
        assert_eq!(journal.check().await.unwrap().problems, []);
    });
}

/// A record's intent becomes that of the link that is made of it, with the lines of history that
/// either owes.
#[test]
fn what_a_record_owes_its_link_owes() {
    on_each(async |journal| {
        let intent = |subject: &Subject, second| Intent {
            subject: subject.clone(),
            mapping: "people".into(),
            version: 1,
            at: at(second),
            writes: PerSide::default(),
            lines: vec![line(0, second, "score", Value::Blank)],
        };
        let of = |record| Subject::Record { mapping: "people".into(), record };
        let (here, across) = (of(hs("101")), of(sf("00Q1")));
        let mut commit = Commit::new();
        commit.intend(intent(&here, 1)).intend(intent(&across, 2));
        journal.commit(commit).await.unwrap();
        // The settlement of one of them makes the link and has its own result.
        let joint = Subject::Link(LinkId(1));
        let mut commit = Commit::new();
        commit.link(link(1, "101", "00Q1")).clear_intent(here.clone()).owe(intent(&joint, 3));
        journal.commit(commit).await.unwrap();
        let known = journal.known(vec![here, joint.clone()]).await.unwrap();
        for known in known {
            let intent = known.intent.unwrap();
            assert_eq!(intent.subject, joint);
            let owed: Vec<_> = intent.lines.iter().map(|line| line.at).collect();
            assert_eq!(owed, [at(2), at(3)]);
        }
        assert!(journal.check().await.unwrap().is_sound());
    });
}

/// What is written down of a record that has a link, its link owes; another record owes it itself,
/// beside what it owes already.
#[test]
fn what_is_owed_by_a_linked_record_its_link_owes() {
    on_each(async |journal| {
        let of = |record| Subject::Record { mapping: "people".into(), record };
        let intent = |record, second| Intent {
            subject: of(record),
            mapping: "people".into(),
            version: 1,
            at: at(second),
            writes: PerSide::default(),
            lines: vec![line(0, second, "score", Value::Blank)],
        };
        let mut commit = Commit::new();
        commit.link(link(1, "101", "00Q1")).intend(intent(sf("00Q4"), 1));
        journal.commit(commit).await.unwrap();
        let mut commit = Commit::new();
        commit.owe(intent(sf("00Q1"), 2)).owe(intent(hs("101"), 3)).owe(intent(sf("00Q4"), 4));
        journal.commit(commit).await.unwrap();
        let owed: Vec<(Subject, Vec<Timestamp>)> = journal
            .unfinished(9)
            .await
            .unwrap()
            .into_iter()
            .map(|intent| (intent.subject, intent.lines.iter().map(|line| line.at).collect()))
            .collect();
        assert_eq!(
            owed,
            [(Subject::Link(LinkId(1)), vec![at(2), at(3)]), (of(sf("00Q4")), vec![at(1), at(4)]),]
        );
        assert!(journal.check().await.unwrap().is_sound());
    });
}

#[test]
fn an_erased_person_leaves_no_data_and_is_not_taken_up_again() {
    on_each(async |journal| {
        let mut entry = link(1, "101", "00Q1");
        let print = journal.fingerprint("ada@example.com");
        entry.fingerprints = [print].into();
        entry.base.values.insert("email".into(), Value::text("ada@example.com"));
        let mut commit = Commit::new();
        commit
            .link(entry)
            .history(line(1, 1, "email", Value::text("ada@example.com")))
            .conflicts(LinkId(1), "people", [("score".to_owned(), conflict())].into())
            .reject(reject(Subject::Link(LinkId(1)), "email"))
            .hear(heard(hs("101"), Lane::Ordinary, 1));
        journal.commit(commit).await.unwrap();
        let mut commit = Commit::new();
        commit.purge(LinkId(1), at(9));
        journal.commit(commit).await.unwrap();

        assert_eq!(journal.link(LinkId(1)).await.unwrap(), None);
        assert_eq!(journal.links_of("people", vec![hs("101")]).await.unwrap(), [None]);
        assert_eq!(journal.links_with("people", print).await.unwrap(), []);
        assert_eq!(journal.history(LinkId(1), None, 10).await.unwrap(), []);
        assert_eq!(journal.conflicts(None, None, 10).await.unwrap(), []);
        assert_eq!(journal.rejects(None, None, 10).await.unwrap(), []);
        assert_eq!(journal.pending_page(None, 10).await.unwrap(), []);
        let purges = journal.purges(10).await.unwrap();
        assert_eq!(purges, [Purge { at: at(9), mapping: "people".into(), link: LinkId(1) }]);
        let marks = journal.erased(vec![hs("101"), hs("102")]).await.unwrap();
        assert_eq!(marks, [true, false]);

        let late = vec![heard(hs("101"), Lane::Ordinary, 10), heard(hs("102"), Lane::Ordinary, 10)];
        let outcome = journal.hear(late, None).await.unwrap();
        assert_eq!((outcome.new, outcome.erased), (1, 1));
        let mut commit = Commit::new();
        commit.link(link(2, "101", "00Q2"));
        let error = journal.commit(commit).await.unwrap_err();
        assert_eq!(error, Error::Purged { record: hs("101") });
        assert!(journal.check().await.unwrap().is_sound());
    });
}

#[test]
fn a_conflict_stays_until_it_is_settled_and_keeps_a_decision_that_came_meanwhile() {
    on_each(async |journal| {
        let open = |fields: &[&str]| -> BTreeMap<String, OpenConflict> {
            fields.iter().map(|field| ((*field).to_owned(), conflict())).collect()
        };
        let mut commit = Commit::new();
        commit.link(link(1, "101", "00Q1"));
        commit.conflicts(LinkId(1), "people", open(&["score", "stage"]));
        journal.commit(commit).await.unwrap();
        let mut commit = Commit::new();
        commit.resolve(LinkId(1), "score", Resolution::Take(Side::HubSpot));
        commit.hear(heard(hs("101"), Lane::Ordinary, 2));
        journal.commit(commit).await.unwrap();
        // A settlement that read the conflicts before the decision came.
        let mut commit = Commit::new();
        commit.conflicts(LinkId(1), "people", open(&["score"]));
        journal.commit(commit).await.unwrap();
        let known = journal.known(vec![Subject::Link(LinkId(1))]).await.unwrap();
        let conflicts = &known[0].conflicts;
        assert_eq!(conflicts.keys().collect::<Vec<_>>(), ["score"]);
        assert_eq!(conflicts["score"].resolution, Some(Resolution::Take(Side::HubSpot)));
        let page = journal.conflicts(Some("people".into()), None, 10).await.unwrap();
        assert_eq!(page.len(), 1);
        assert_eq!(journal.conflicts(Some("deals".into()), None, 10).await.unwrap(), []);
        let counters = &journal.statistics().await.unwrap().mappings["people"];
        assert_eq!(counters["conflicts.open"], 1);
        let mut commit = Commit::new();
        commit.resolve(LinkId(1), "stage", Resolution::Take(Side::HubSpot));
        let error = journal.commit(commit).await.unwrap_err();
        assert_eq!(error.to_string(), r#"there is no open conflict on "stage" of L1"#);
    });
}

#[test]
fn an_ambiguous_match_waits_for_a_choice() {
    on_each(async |journal| {
        let entry = MatchEntry {
            mapping: "people".into(),
            record: hs("101"),
            candidates: [(sf("00Q1"), "email".to_owned()), (sf("00Q2"), "email".to_owned())].into(),
            since: at(1),
            reason: "two Leads have the address".into(),
            choice: None,
        };
        let mut commit = Commit::new();
        commit.ambiguous(entry.clone());
        journal.commit(commit).await.unwrap();
        let mut commit = Commit::new();
        commit.choose_match("people", hs("101"), MatchChoice::This(sf("00Q3")));
        assert!(matches!(journal.commit(commit).await, Err(Error::Absent { .. })));
        let mut commit = Commit::new();
        commit.choose_match("people", hs("101"), MatchChoice::This(sf("00Q2")));
        journal.commit(commit).await.unwrap();
        let mut commit = Commit::new();
        commit.ambiguous(MatchEntry { since: at(5), ..entry.clone() });
        journal.commit(commit).await.unwrap();
        let choice = Some(MatchChoice::This(sf("00Q2")));
        let page = journal.matches(None, None, 10).await.unwrap();
        assert_eq!(page, [MatchEntry { choice, ..entry }], "the choice and the beginning stay");
        let mut commit = Commit::new();
        commit.drop_match("people", hs("101"));
        journal.commit(commit).await.unwrap();
        assert_eq!(journal.matches(None, None, 10).await.unwrap(), []);
        assert!(journal.statistics().await.unwrap().mappings.is_empty());
    });
}

#[test]
fn a_reject_counts_its_tries_until_it_is_settled() {
    on_each(async |journal| {
        let subject = Subject::Record { mapping: "people".into(), record: hs("101") };
        for second in [1, 2] {
            let mut commit = Commit::new();
            let entry = RejectEntry { since: at(second), ..reject(subject.clone(), "email") };
            commit.rejects(subject.clone(), vec![entry, reject(subject.clone(), "*")]);
            journal.commit(commit).await.unwrap();
        }
        let mut commit = Commit::new();
        let place = reject(subject.clone(), "email").place();
        commit.retry_reject(place.clone());
        journal.commit(commit).await.unwrap();
        let page = journal.rejects(Some("people".into()), None, 10).await.unwrap();
        assert_eq!(page.len(), 2);
        let entry = page.iter().find(|entry| entry.field == "email").unwrap();
        assert_eq!((entry.tries, entry.since, entry.retry_requested), (2, at(1), true));
        let behind = journal.rejects(None, Some(page[0].place()), 10).await.unwrap();
        assert_eq!(behind, page[1..]);
        let mut commit = Commit::new();
        commit.rejects(subject.clone(), Vec::new());
        journal.commit(commit).await.unwrap();
        assert_eq!(journal.rejects(None, None, 10).await.unwrap(), []);
        let mut commit = Commit::new();
        commit.retry_reject(place);
        assert!(matches!(journal.commit(commit).await, Err(Error::Absent { .. })));
    });
}

#[test]
fn a_hold_is_released_once() {
    on_each(async |journal| {
        let id = journal.new_hold().await.unwrap();
        let hold = Hold {
            id,
            mapping: Some("people".into()),
            reason: "1,200 records would change, the limit is 500".into(),
            count: 1200,
            since: at(1),
            sample: vec!["L1: stage".into()],
            released: None,
        };
        let mut commit = Commit::new();
        commit.hold(hold.clone());
        journal.commit(commit).await.unwrap();
        assert_eq!(journal.holds().await.unwrap(), [hold]);
        assert_eq!(journal.release_hold(id, at(5)).await.unwrap().released, Some(at(5)));
        assert_eq!(journal.release_hold(id, at(6)).await.unwrap().released, Some(at(5)));
        assert!(matches!(journal.release_hold(99, at(6)).await, Err(Error::Absent { .. })));
        let mut commit = Commit::new();
        commit.drop_hold(id);
        journal.commit(commit).await.unwrap();
        assert_eq!(journal.holds().await.unwrap(), []);
        assert_ne!(journal.new_hold().await.unwrap(), id);
    });
}

#[test]
fn what_a_record_owes_is_kept_as_long_as_history_and_what_a_link_owes_until_it_is_told() {
    on_each(async |journal| {
        let record = Subject::Record {
            mapping: "people".into(),
            record: RecordRef::hubspot("contacts", "7"),
        };
        let of = |subject: &Subject, second| Intent {
            subject: subject.clone(),
            mapping: "people".into(),
            version: 1,
            at: at(second),
            lines: vec![line(1, second, "score", Value::Blank)],
            writes: PerSide::default(),
        };
        let link = Subject::Link(LinkId(1));
        let mut commit = Commit::new();
        commit.intend(of(&record, 5)).intend(of(&link, 5));
        journal.commit(commit).await.unwrap();
        let owing = async |age| {
            let bounds = HistoryBounds { age: SignedDuration::from_secs(age), per_link: 5 };
            journal.prune(bounds, at(20), 10).await.unwrap();
            let owed = journal.unfinished(10).await.unwrap();
            owed.into_iter().map(|intent| intent.subject).collect::<Vec<_>>()
        };
        let both = owing(15).await;
        assert!(both.len() == 2 && both.contains(&record), "{both:?}");
        assert_eq!(owing(14).await, std::slice::from_ref(&link));
    });
}

#[test]
fn an_intent_stays_until_its_result_is_written() {
    on_each(async |journal| {
        let subject = Subject::Link(LinkId(1));
        let write = PlannedWrite {
            object: "Lead".into(),
            action: WriteAction::Update { id: "00Q1".into() },
            fields: [("Score__c".to_owned(), Raw::Number(42.0)), ("X".to_owned(), Raw::Null)]
                .into(),
            clear_first: BTreeSet::new(),
        };
        let intent = Intent {
            subject: subject.clone(),
            mapping: "people".into(),
            version: 3,
            at: at(1),
            lines: Vec::new(),
            writes: PerSide { hubspot: None, salesforce: Some(write) },
        };
        let mut commit = Commit::new();
        commit.intend(intent.clone());
        journal.commit(commit).await.unwrap();
        assert_eq!(journal.unfinished(10).await.unwrap(), std::slice::from_ref(&intent));
        let known = journal.known(vec![subject.clone()]).await.unwrap();
        assert_eq!(known[0].intent, Some(intent));
        let mut commit = Commit::new();
        commit.clear_intent(subject).history(line(1, 2, "score", Value::Blank));
        journal.commit(commit).await.unwrap();
        assert_eq!(journal.unfinished(10).await.unwrap(), []);
        assert_eq!(journal.history(LinkId(1), None, 10).await.unwrap().len(), 1);
    });
}

#[test]
fn history_is_bounded_by_number_and_age() {
    on_each(async |journal| {
        for id in 1..=3 {
            for second in 0..20_i32 {
                let mut commit = Commit::new();
                commit.history(line(
                    id,
                    second.into(),
                    "score",
                    Value::Number(Number::from(second)),
                ));
                journal.commit(commit).await.unwrap();
            }
        }
        let newest = journal.history(LinkId(2), None, 2).await.unwrap();
        assert_eq!(newest.iter().map(|line| line.at).collect::<Vec<_>>(), [at(19), at(18)]);
        let older = journal.history(LinkId(2), Some(newest[1].seq), 1).await.unwrap();
        assert_eq!(older[0].at, at(17));

        let bounds = HistoryBounds { age: SignedDuration::from_secs(10), per_link: 5 };
        // Pages smaller than one link's history, one link's, and greater.
        for budget in [7, 20, 50, 7, 7, 7, 7, 7, 7, 7] {
            journal.prune(bounds, at(20), budget).await.unwrap();
        }
        for id in 1..=3 {
            let left = journal.history(LinkId(id), None, 100).await.unwrap();
            assert_eq!(left.len(), 5, "link {id}");
            assert_eq!(left[0].at, at(19), "the newest stay");
        }
        assert_eq!(journal.all_history(None, 100).await.unwrap().len(), 15);
        let bounds = HistoryBounds { age: SignedDuration::from_secs(2), per_link: 5 };
        let mut gone = 0;
        for _ in 0..4 {
            gone += journal.prune(bounds, at(20), 100).await.unwrap().gone;
        }
        assert_eq!(gone, 9, "18 and 19 stay of each link");
    });
}

#[test]
fn cursors_mappings_counters_and_kept_items_are_remembered() {
    on_each(async |journal| {
        let name = |stream: &str| CursorName {
            side: Side::Salesforce,
            object: "Lead".into(),
            stream: stream.into(),
        };
        journal.hear(Vec::new(), Some((name("changed"), "p1".into(), at(1)))).await.unwrap();
        let many = (0..250).map(|id| heard(hs(&id.to_string()), Lane::Backfill, id)).collect();
        let heard = journal.hear(many, Some((name("list"), "p9".into(), at(2)))).await.unwrap();
        assert_eq!(heard.new, 250);
        let entry = journal.cursor(name("list")).await.unwrap().unwrap();
        assert_eq!((entry.place.as_str(), entry.at), ("p9", at(2)));
        let mut commit = Commit::new();
        commit.forget_cursor(name("list"));
        let state = MappingState {
            fingerprint: "abc".into(),
            fields: ["score".to_owned()].into(),
            backfill: None,
        };
        commit.mapping("people", state.clone());
        commit.count("people", "settled", 2, at(0)).count("people", "settled", 3, at(86_400 * 3));
        commit.keep("handoff", "L1", &("sent".to_owned(), 7u8));
        commit.keep("handoff", "L2", &("won".to_owned(), 8u8));
        journal.commit(commit).await.unwrap();
        assert_eq!(journal.cursors().await.unwrap().len(), 1);
        assert_eq!(journal.mapping_state("people").await.unwrap(), Some(state));
        assert_eq!(journal.statistics().await.unwrap().mappings["people"]["settled"], 5);
        let day = |second| at(second).to_zoned(jiff::tz::TimeZone::UTC).date();
        let days = journal.daily("people", day(86_400)).await.unwrap();
        assert_eq!(days, [(day(86_400 * 3), [("settled".to_owned(), 3)].into())].into());
        type Kept = (String, u8);
        let kept: Option<Kept> = journal.kept("handoff", "L1").await.unwrap();
        assert_eq!(kept.unwrap(), ("sent".to_owned(), 7));
        let page: Vec<(String, Kept)> = journal.kept_page("handoff", None, 1).await.unwrap();
        let after = Some(page[0].0.clone());
        let page: Vec<(String, Kept)> = journal.kept_page("handoff", after, 9).await.unwrap();
        assert_eq!(page, [("L2".to_owned(), ("won".to_owned(), 8))]);
        let mut commit = Commit::new();
        commit.drop_kept("handoff", "L1");
        journal.commit(commit).await.unwrap();
        assert_eq!(journal.kept::<Kept>("handoff", "L1").await.unwrap(), None);
    });
}

#[test]
fn a_journal_belongs_to_its_accounts() {
    on_each(async |journal| {
        journal.belongs_to(Side::HubSpot, "42").await.unwrap();
        journal.belongs_to(Side::HubSpot, "42").await.unwrap();
        let error = journal.belongs_to(Side::HubSpot, "43").await.unwrap_err();
        assert_eq!(
            error.to_string(),
            "the journal belongs to HubSpot account 42, the credentials are for 43"
        );
        assert!(error.hint().is_some());
        assert_eq!(journal.accounts().await.unwrap().hubspot.as_deref(), Some("42"));
        journal.ping().await.unwrap();
    });
}

#[test]
fn a_long_value_is_kept_whole_and_shrinks_without_a_rest() {
    on_each(async |journal| {
        let text: String = (0..60_000).map(|n| char::from(b'a' + (n % 23) as u8)).collect();
        let mut entry = link(1, "101", "00Q1");
        entry.base.values.insert("notes".into(), Value::text(text.clone()));
        let mut commit = Commit::new();
        commit.link(entry.clone());
        journal.commit(commit).await.unwrap();
        assert_eq!(journal.link(LinkId(1)).await.unwrap().unwrap(), entry);
        entry.base.values.insert("notes".into(), Value::text(&text[..9_000]));
        let mut commit = Commit::new();
        commit.link(entry.clone());
        journal.commit(commit).await.unwrap();
        assert_eq!(journal.link(LinkId(1)).await.unwrap().unwrap(), entry);
        let report = journal.check().await.unwrap();
        assert!(report.is_sound(), "{report:?}");
        assert_eq!(report.rows["piece of a long value"], 2);
        let mut commit = Commit::new();
        commit.purge(LinkId(1), at(1));
        journal.commit(commit).await.unwrap();
        assert_eq!(journal.check().await.unwrap().rows.get("piece of a long value"), None);
    });
}

#[test]
fn what_cannot_be_stored_is_refused_whole() {
    on_each(async |journal| {
        let mut commit = Commit::new();
        commit.link(link(1, "101", "00Q1")).hear(heard(hs(""), Lane::Ordinary, 1));
        let error = journal.commit(commit).await.unwrap_err();
        assert_eq!(error.to_string(), "the journal cannot store this: a record id without a name");
        let mut commit = Commit::new();
        commit.hear(heard(hs(&"9".repeat(600)), Lane::Ordinary, 1));
        let error = journal.commit(commit).await.unwrap_err();
        assert_eq!(
            error.to_string(),
            "the journal cannot store this: a record id of 600 bytes; at most 512 are possible"
        );
        assert_eq!(journal.link(LinkId(1)).await.unwrap(), None);
    });
}
