//! Finds the record across that a lone record belongs to.

use std::collections::{BTreeMap, BTreeSet};

use super::Engine;
use super::case::Case;
use super::fetch::Fetched;
use super::owed::bequeath;
use super::trouble::Trouble;
use crate::journal::{Commit, Heard, Intent, LinkState, MatchChoice, MatchEntry, Subject};
use crate::mapping::{Mapping, MatchKey};
use crate::reconcile::recognise::{Question, Recognised, key_spellings, key_value, recognise};
use crate::record::{Change, LinkId, PerSide, Record, RecordRef, Side, Source};

/// How many of those who are linked by one matching key are looked at: more would tell a person
/// nothing.
const MOST_KNOWN: usize = 10;

/// What was found across for the lone records of one side.
#[derive(Default)]
struct Finds {
    /// By the id fields of either side.
    by_id: Vec<Record>,
    /// By each matching key, in the mapping's order.
    by_key: Vec<Vec<Record>>,
    /// By each matching key, on the lone records' own side: a key that two of them share tells
    /// nothing.
    own: Vec<Vec<Record>>,
}

impl Finds {
    /// The records that were merged into one that was found.
    fn merged_into(&self, across: &RecordRef) -> Vec<RecordRef> {
        let found = self.by_id.iter().chain(self.by_key.iter().flatten());
        let ids = found.filter(|record| record.key == *across).flat_map(|record| &record.aliases);
        ids.map(|id| RecordRef { id: id.clone(), ..across.clone() }).collect()
    }
}

/// What a person is asked: the record, whom it may belong to and by what, and why it is unclear.
type Doubt = (RecordRef, BTreeMap<RecordRef, String>, String);

/// What is known of a lone record's match.
enum Match {
    /// Across, with the records that were merged into it, and how it was recognised.
    Found {
        across: RecordRef,
        merged: Vec<RecordRef>,
        how: String,
    },
    Unclear(BTreeMap<RecordRef, String>, String),
    Nobody,
}

impl Match {
    /// Somebody who is, or was, there by the same matching key.
    fn of_key(known: RecordRef, reason: String) -> Self {
        Self::Unclear(BTreeMap::from([(known, "matching keys".to_owned())]), reason)
    }
}

/// A record across that a link has, by a key that it had once.
struct Linked<'a> {
    key: &'a MatchKey,
    record: RecordRef,
    link: LinkId,
}

/// Who is across by a lone record's keys, as far as links tell.
enum Known<'a> {
    /// One who was deleted there, with what to say of it.
    Deleted(RecordRef, String),
    /// Those who may be there still.
    Live(Vec<Linked<'a>>),
}

impl Engine {
    /// Recognises the lone records among `cases`. Those whose match a person has to choose are
    /// ended; their number comes back with the rest.
    pub(super) async fn recognise(
        &self,
        mapping: &Mapping,
        mut cases: Vec<Case>,
    ) -> Result<(usize, Vec<Case>), Trouble> {
        let mut answers: BTreeMap<RecordRef, Match> = BTreeMap::new();
        for side in Side::BOTH {
            let lone: Vec<&Record> = cases
                .iter()
                .filter_map(Case::lone_record)
                .filter(|record| record.key.side == side)
                .collect();
            if lone.is_empty() {
                continue;
            }
            let finds = self.search(mapping, side, &lone).await?;
            for record in lone {
                answers.insert(record.key.clone(), answer(mapping, record, &finds));
            }
        }
        self.refuse_taken(mapping, &mut answers).await?;
        self.ask_about_known(mapping, &cases, &mut answers).await?;
        let mut unclear = Vec::new();
        let mut aside = Vec::new();
        // A link of this batch may be on its way to a record that took the place of its own.
        let mut claimed: BTreeSet<RecordRef> = cases.iter().flat_map(Case::next_records).collect();
        let mut wanted = Vec::new();
        let mut rest = Vec::new();
        let mut alone: Vec<(Case, RecordRef, Option<Doubt>)> = Vec::new();
        for mut case in cases.drain(..) {
            if let Some(next) = case.stands_for() {
                aside.push((case, next));
                continue;
            }
            let lone = case.lone_record().map(|record| record.key.clone());
            let Some(lone) = lone else {
                rest.push(case);
                continue;
            };
            let found = match (choice(&case), answers.remove(&lone)) {
                (Some(MatchChoice::This(chosen)), _) => Match::Found {
                    across: chosen,
                    merged: Vec::new(),
                    how: "a person chose it".to_owned(),
                },
                (Some(MatchChoice::None), Some(Match::Unclear(..))) => Match::Nobody,
                (_, Some(found)) => found,
                (_, None) => Match::Nobody,
            };
            match found {
                Match::Found { across, how, .. } => {
                    // Both records may be in this batch, each without a link. The first one links
                    // them; the other one's entry becomes the link's.
                    if !claimed.insert(across.clone()) || !claimed.insert(lone) {
                        unclear.push((case, None));
                        continue;
                    }
                    wanted.push(across.clone());
                    let side = across.side;
                    *case.records.get_mut(side) = Some(across);
                    case.how = Some(how);
                    rest.push(case);
                }
                Match::Unclear(candidates, reason) => {
                    alone.push((case, lone.clone(), Some((lone, candidates, reason))));
                }
                Match::Nobody => alone.push((case, lone, None)),
            }
        }
        for (case, lone, doubt) in alone {
            // Another record of this batch may be its match, or its link on the way to it, although
            // by what it says itself it has none.
            match (claimed.contains(&lone), doubt) {
                (true, _) => unclear.push((case, None)),
                (false, Some(doubt)) => unclear.push((case, Some(doubt))),
                (false, None) => rest.push(case),
            }
        }
        self.read_matches(mapping, &mut rest, wanted).await?;
        let count = unclear.len() + aside.len();
        self.park(mapping, unclear).await?;
        self.pass_on(mapping, aside).await?;
        self.know_intents(&mut rest).await?;
        Ok((count, rest))
    }

    /// Learns what each case owes by now: who was found across owes for itself, and others may have
    /// passed on what they owed since the entries were taken.
    async fn know_intents(&self, cases: &mut [Case]) -> Result<(), Trouble> {
        let owners = cases.iter().flat_map(Case::owners).collect();
        let known = self.journal.known(owners).await?;
        let intents: BTreeMap<Subject, Intent> =
            known.into_iter().filter_map(|known| Some((known.subject, known.intent?))).collect();
        for case in cases {
            case.take_in_intents(&intents);
        }
        Ok(())
    }

    /// Reads what was recognised: a search index may show it as it was.
    async fn read_matches(
        &self,
        mapping: &Mapping,
        cases: &mut [Case],
        wanted: Vec<RecordRef>,
    ) -> Result<(), Trouble> {
        let mut refs = PerSide::<BTreeSet<RecordRef>>::default();
        for record in wanted {
            refs.get_mut(record.side).insert(record);
        }
        let found = self.fetch_both(mapping, &refs, None).await?;
        for case in cases.iter_mut().filter(|case| case.how.is_some()) {
            for side in Side::BOTH {
                let Some(record) = case.records.get(side) else { continue };
                if let Some(fetched) = found.get(record) {
                    *case.present.get_mut(side) = fetched.clone();
                }
            }
        }
        Ok(())
    }

    /// Looks across for every lone record of `side`, with one search for each way to know it.
    async fn search(
        &self,
        mapping: &Mapping,
        side: Side,
        lone: &[&Record],
    ) -> Result<Finds, Trouble> {
        let across = side.other();
        let own_field = &mapping.sides.get(side).id_field;
        let pointers: BTreeSet<RecordRef> = lone
            .iter()
            .filter_map(|record| record.get(own_field).as_text())
            .map(str::trim)
            .filter(|id| !id.is_empty())
            .filter_map(|id| self.reference(mapping, across, id))
            .collect();
        let pointed = self.fetch(mapping, across, &pointers, None).await?;
        let mut by_id: Vec<Record> = pointed
            .into_values()
            .filter_map(|fetched| match fetched {
                Fetched::Here(record) => Some(*record),
                _ => None,
            })
            .collect();
        let ids = lone
            .iter()
            .flat_map(|record| std::iter::once(&record.key.id).chain(&record.aliases))
            .cloned()
            .collect();
        by_id.extend(self.find(mapping, across, &mapping.sides.get(across).id_field, &ids).await?);
        let known: BTreeSet<String> = by_id
            .iter()
            .filter_map(|record| record.get(&mapping.sides.get(across).id_field).as_text())
            .map(str::to_owned)
            .collect();
        let mut by_key = Vec::new();
        let mut own = Vec::new();
        for key in &mapping.matching {
            let values: BTreeSet<String> = lone
                .iter()
                .filter(|record| !known.contains(&record.key.id))
                .flat_map(|record| key_spellings(key, record))
                .collect();
            let found = self.find(mapping, across, key.fields.get(across), &values).await?;
            let met: BTreeSet<String> =
                found.iter().flat_map(|record| key_spellings(key, record)).collect();
            own.push(self.find(mapping, side, key.fields.get(side), &met).await?);
            by_key.push(found);
        }
        Ok(Finds { by_id, by_key, own })
    }

    /// The record across that an id names, of whichever of the mapping's objects it is.
    fn reference(&self, mapping: &Mapping, side: Side, id: &str) -> Option<RecordRef> {
        let spec = mapping.sides.get(side);
        if side == Side::HubSpot {
            return Some(RecordRef::hubspot(&spec.object, id));
        }
        let id = crate::record::SalesforceId::parse(id).ok()?;
        let object = match (crate::record::object_of_prefix(id.prefix()), &spec.becomes) {
            (Some(object), Some(becomes)) if object == becomes => becomes,
            _ => &spec.object,
        };
        Some(RecordRef::salesforce(object, id.as_str()))
    }

    /// A record that already belongs to a living link is nobody else's, and neither is one into
    /// which such a record was merged: the case is put before a person.
    async fn refuse_taken(
        &self,
        mapping: &Mapping,
        answers: &mut BTreeMap<RecordRef, Match>,
    ) -> Result<(), Trouble> {
        let mut asked: Vec<(RecordRef, RecordRef, RecordRef)> = Vec::new();
        for (lone, found) in &*answers {
            let Match::Found { across, merged, .. } = found else { continue };
            let each = merged.iter().chain([across]);
            asked.extend(each.map(|of| (lone.clone(), across.clone(), of.clone())));
        }
        let of = asked.iter().map(|(_, _, of)| of.clone()).collect();
        let links = self.journal.links_of(&mapping.name, of).await?;
        for ((lone, across, of), link) in asked.into_iter().zip(links) {
            let Some(link) = link else { continue };
            let reason = match (link.state.is_live(), of == across) {
                (true, true) => format!("{across} belongs to link {} already", link.id),
                (true, false) => {
                    format!("{of} was merged into {across}, and belongs to link {}", link.id)
                }
                (false, true) => format!("{across} belonged to link {}, which ended", link.id),
                (false, false) => continue,
            };
            let candidates = BTreeMap::from([(across, "matching keys".to_owned())]);
            answers.insert(lone, Match::Unclear(candidates, reason));
        }
        Ok(())
    }

    /// Whoever was deleted across is not created anew because another record of the same person
    /// turns up, as the Contact does that the remaining Lead becomes; and whoever is linked is not
    /// created a second time because a search index does not show them yet. Both are a person's to
    /// say.
    async fn ask_about_known(
        &self,
        mapping: &Mapping,
        cases: &[Case],
        answers: &mut BTreeMap<RecordRef, Match>,
    ) -> Result<(), Trouble> {
        let mut live = Vec::new();
        for record in cases.iter().filter_map(Case::lone_record) {
            if matches!(answers.get(&record.key), Some(Match::Nobody)) {
                match self.known_by_links(mapping, record).await? {
                    Known::Deleted(known, reason) => {
                        answers.insert(record.key.clone(), Match::of_key(known, reason));
                    }
                    Known::Live(these) => live.extend(these.into_iter().map(|it| (record, it))),
                }
            }
        }
        // A link remembers keys of the past too: what counts is what its record says now.
        let mut refs = PerSide::<BTreeSet<RecordRef>>::default();
        for (_, one) in &live {
            refs.get_mut(one.record.side).insert(one.record.clone());
        }
        let found = self.fetch_both(mapping, &refs, None).await?;
        for (lone, Linked { key, record, link }) in live {
            let Some(Fetched::Here(now)) = found.get(&record) else { continue };
            let same = key_value(key, now).is_some_and(|now| key_value(key, lone) == Some(now));
            if same && matches!(answers.get(&lone.key), Some(Match::Nobody)) {
                let reason =
                    format!("{record} has the same matching key, and belongs to link {link}");
                answers.insert(lone.key.clone(), Match::of_key(record, reason));
            }
        }
        Ok(())
    }

    /// Who is, or was, across by one of the keys of `record`, as far as links tell.
    async fn known_by_links<'a>(
        &self,
        mapping: &'a Mapping,
        record: &Record,
    ) -> Result<Known<'a>, Trouble> {
        let across = record.key.side.other();
        let mut live = Vec::new();
        for key in &mapping.matching {
            let Some(value) = key_value(key, record) else { continue };
            let print = self.journal.fingerprint(&value.to_string());
            for link in self.journal.links_with(&mapping.name, print).await? {
                let Some(theirs) = link.records.get(across).clone() else { continue };
                match &link.state {
                    LinkState::Unlinked { deleted, .. } if *deleted == across => {
                        let reason = format!(
                            "{theirs} had the same matching key; it was deleted, and link {} ended",
                            link.id
                        );
                        return Ok(Known::Deleted(theirs, reason));
                    }
                    state if state.is_live() && live.len() < MOST_KNOWN => {
                        live.push(Linked { key, record: theirs, link: link.id });
                    }
                    _ => {}
                }
            }
        }
        Ok(Known::Live(live))
    }

    /// Puts the record in line that took a lone one's place, and ends the lone one's entry: what
    /// merged records are linked to is the survivor's affair, and so is what an interrupted
    /// settlement of the lone one has written.
    async fn pass_on(
        &self,
        mapping: &Mapping,
        aside: Vec<(Case, RecordRef)>,
    ) -> Result<(), Trouble> {
        let at = self.clock.now();
        let mut commits = Vec::new();
        for (case, next) in aside {
            let mut commit = Commit::new();
            bequeath(&mut commit, &case, Some(next.clone()));
            commit.hear(Heard {
                mapping: mapping.name.clone(),
                lane: case.entry.lane,
                change: Change::touched(next, Source::Retry),
                at,
                not_before: None,
            });
            commit.finish(case.entry.subject.clone(), case.entry.version);
            commits.push(commit);
        }
        self.commit_all(commits).await
    }

    /// Ends the entries of records that only a person can match, and of those whose match is linked
    /// by another entry of this batch.
    async fn park(
        &self,
        mapping: &Mapping,
        unclear: Vec<(Case, Option<Doubt>)>,
    ) -> Result<(), Trouble> {
        let now = self.clock.now();
        let mut commits = Vec::new();
        for (case, question) in unclear {
            let mut commit = Commit::new();
            let (subject, version) = (case.entry.subject.clone(), case.entry.version);
            match question {
                Some((record, candidates, reason)) => {
                    tracing::info!(%record, %reason, "a person has to say who is the same");
                    commit.ambiguous(MatchEntry {
                        mapping: mapping.name.clone(),
                        record,
                        candidates,
                        since: now,
                        reason,
                        choice: None,
                    });
                    commit.finish(subject, version);
                }
                None => {
                    let until = self.later(now, 0);
                    commit.postpone(subject, version, until, None);
                }
            }
            commits.push(commit);
        }
        self.commit_all(commits).await
    }
}

fn choice(case: &Case) -> Option<MatchChoice> {
    case.known.ambiguous.as_ref()?.choice.clone()
}

fn answer(mapping: &Mapping, record: &Record, finds: &Finds) -> Match {
    let question = Question { mapping, record, by_id: &finds.by_id, by_key: &finds.by_key };
    match recognise(&question) {
        Recognised::Nobody => Match::Nobody,
        Recognised::Ambiguous { candidates, key, reason } => {
            Match::Unclear(candidates.into_iter().map(|it| (it, key.clone())).collect(), reason)
        }
        Recognised::Linked { record: across, how } => {
            let by_id = finds.by_id.iter().any(|found| found.key == across);
            match (by_id, twins(mapping, record, finds)) {
                (false, Some(twins)) => {
                    let reason = format!("{twins} records on its own side share its matching key");
                    Match::Unclear(BTreeMap::from([(across, how.to_string())]), reason)
                }
                _ => Match::Found {
                    merged: finds.merged_into(&across),
                    how: format!("matched by {how}"),
                    across,
                },
            }
        }
    }
}

/// How many records of its own side share the first matching key by which something was found
/// across, where there are several.
fn twins(mapping: &Mapping, record: &Record, finds: &Finds) -> Option<usize> {
    for ((key, found), own) in mapping.matching.iter().zip(&finds.by_key).zip(&finds.own) {
        let Some(value) = key_value(key, record) else { continue };
        let same = |other: &&Record| key_value(key, other).as_ref() == Some(&value);
        if !found.iter().any(|other| same(&other)) {
            continue;
        }
        let sharing: BTreeSet<&RecordRef> =
            own.iter().filter(same).map(|other| &other.key).chain([&record.key]).collect();
        return (sharing.len() > 1).then_some(sharing.len());
    }
    None
}
