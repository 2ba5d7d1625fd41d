//! What every journal does, on every store.

use std::collections::BTreeSet;

use super::support::*;
use crate::journal::{Commit, Error, Lane, LinkState, Subject};
use crate::record::{LinkId, Side};

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
