//! One contract for both sides: what the daemon relies on, tried through the real clients against
//! the sandbox, in process under a virtual clock and over TCP under the real one.

mod hubspot;
mod salesforce;

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use lockstep::platform::{
    Action, Ask, Cursor, Error, ErrorKind, Outcome, Platform, RefusalKind, Write, WriteOptions,
};
use lockstep::record::{Change, ChangeKind, Raw, Record};
use lockstep::sandbox::Sandbox;
use lockstep::sandbox::fault::{How, Side as FaultSide};

/// A side's names for what the contract speaks of.
#[derive(Debug, Clone, Copy)]
pub struct Names {
    /// An object for people.
    pub object: &'static str,
    /// A field whose values are unique, by which records are upserted.
    pub key: &'static str,
    /// The e-mail address.
    pub email: &'static str,
    /// The last name.
    pub last_name: &'static str,
    /// A text that may be blank.
    pub title: &'static str,
    /// A number.
    pub score: &'static str,
    /// A choice, with two of its values.
    pub choice: &'static str,
    /// Two values of the choice.
    pub choices: [&'static str; 2],
    /// An id of the right shape that no record has.
    pub unknown_id: &'static str,
    /// What a record cannot be created without.
    pub required: &'static [(&'static str, &'static str)],
}

/// A side on stage: its client, its sandbox, and a person who works in it.
pub trait Scene: Send + Sync {
    /// The client under test.
    fn platform(&self) -> &dyn Platform;
    /// The sandbox behind it.
    fn sandbox(&self) -> &Sandbox;
    /// Which of the sandbox's sides that is.
    fn fault_side(&self) -> FaultSide;
    /// The side's names.
    fn names(&self) -> Names;
    /// A person edits a record.
    fn edit(&self, id: &str, field: &str, value: &str);
    /// A person deletes a record.
    fn delete(&self, id: &str);
    /// A person merges `loser` into `winner`.
    fn merge(&self, winner: &str, loser: &str);
}

/// What every test needs of a scene.
pub struct Stage<'a>(pub &'a dyn Scene);

impl Stage<'_> {
    pub fn ask(&self) -> Ask {
        let names = self.0.names();
        let fields =
            [names.key, names.email, names.last_name, names.title, names.score, names.choice];
        Ask {
            object: names.object.into(),
            fields: fields.into_iter().map(str::to_owned).collect(),
            stamps: BTreeSet::new(),
        }
    }

    fn write(&self, action: Action, fields: &[(&str, Raw)]) -> Write {
        Write {
            object: self.0.names().object.into(),
            action,
            fields: fields
                .iter()
                .map(|(name, value)| ((*name).to_owned(), value.clone()))
                .collect(),
            clear_first: BTreeSet::new(),
            options: WriteOptions::default(),
        }
    }

    pub fn update(&self, id: &str, fields: &[(&str, Raw)]) -> Write {
        self.write(Action::Update { id: id.into() }, fields)
    }

    pub fn upsert(&self, key: &str, fields: &[(&str, Raw)]) -> Write {
        let names = self.0.names();
        let mut all: Vec<(&str, Raw)> =
            names.required.iter().map(|(name, value)| (*name, Raw::text(*value))).collect();
        all.extend(fields.iter().cloned());
        self.write(Action::Upsert { key_field: names.key.into(), key: key.into() }, &all)
    }

    /// A person's record, made by an upsert.
    pub async fn person(&self, key: &str) -> String {
        let names = self.0.names();
        let fields = [
            (names.last_name, Raw::text("Person")),
            (names.email, Raw::text(format!("{key}@contract.example.com"))),
        ];
        match self.0.platform().write(&[self.upsert(key, &fields)]).await.remove(0) {
            Outcome::Done { id, created: true, .. } => id,
            other => panic!("{key}: {other:?}"),
        }
    }

    pub async fn read_one(&self, id: &str) -> Option<Record> {
        self.0.platform().read(&self.ask(), &[id.to_owned()]).await.unwrap().remove(0)
    }

    /// Lets the platform's slow parts (a search index, late commits) catch up.
    pub async fn catch_up(&self) {
        self.0.sandbox().clock().advance(jiff::SignedDuration::from_secs(180));
        // A client carries the platform's time on by its own clock, which did not jump: the next
        // answer tells it.
        assert!(self.read_one(self.0.names().unknown_id).await.is_none());
    }

    fn now(&self) -> Timestamp {
        self.0.sandbox().clock().now()
    }

    fn arm(&self, fault: &str) {
        let side = self.0.fault_side();
        self.0.sandbox().world().faults.arm(fault, Some(side), How::Next(1)).unwrap();
    }

    /// All pages of one round of changes, those that [`Platform::deleted`] adds included.
    async fn round(
        &self,
        cursors: &mut [Option<Cursor>; 2],
        since: Timestamp,
    ) -> Vec<(Change, Option<Record>)> {
        let platform = self.0.platform();
        let mut all = Vec::new();
        for pages in 0.. {
            assert!(pages < 100, "a round must end");
            let page = platform.changed(&self.ask(), cursors[0].as_ref(), since).await.unwrap();
            assert_eq!(page.changes.len(), page.seen.len());
            all.extend(page.changes.into_iter().zip(page.seen));
            cursors[0] = Some(page.cursor);
            if !page.more {
                break;
            }
        }
        let object = self.0.names().object;
        for pages in 0.. {
            assert!(pages < 100, "a round must end");
            let page = platform.deleted(object, cursors[1].as_ref(), since).await.unwrap();
            all.extend(page.changes.into_iter().zip(page.seen));
            cursors[1] = Some(page.cursor);
            if !page.more {
                break;
            }
        }
        all
    }
}

/// Everything a side promises.
pub async fn contract(scene: &dyn Scene) {
    let stage = Stage(scene);
    introduces_itself(&stage).await;
    writes_and_reads_back(&stage).await;
    keeps_order_in_bulk(&stage).await;
    refuses_one_by_one(&stage).await;
    finds_without_regard_to_case(&stage).await;
    reports_changes(&stage).await;
    reports_deletions_and_merges(&stage).await;
    lists_and_counts(&stage).await;
    survives_faults(&stage).await;
}

async fn introduces_itself(stage: &Stage<'_>) {
    let platform = stage.0.platform();
    let names = stage.0.names();
    let identity = platform.identity().await.unwrap();
    assert!(!identity.account.is_empty() && !identity.author_id.is_empty(), "{identity:?}");
    assert!(identity.pages.starts_with("http") && !identity.pages.ends_with('/'), "{identity:?}");
    assert_eq!(platform.identity().await.unwrap(), identity);

    let owners = platform.owners().await.unwrap();
    assert!(owners.iter().any(|owner| owner.active) && owners.iter().any(|owner| !owner.active));
    let ids: BTreeSet<_> = owners.iter().map(|owner| &owner.id).collect();
    assert_eq!(ids.len(), owners.len(), "no owner twice");
    for owner in &owners {
        let email = owner.email.clone().unwrap_or_default();
        assert_eq!(email, email.to_lowercase());
    }

    let schema = platform.schema(names.object).await.unwrap();
    let choice = &schema.fields[names.choice];
    for value in names.choices {
        assert!(choice.choices.iter().any(|choice| choice.value == value), "{value}");
    }
    assert!(schema.fields[names.email].updatable);
    let made = platform.budget().made;
    platform.schema(names.object).await.unwrap();
    assert_eq!(platform.budget().made, made, "a schema is remembered");
    let error = platform.schema("no_such_object").await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Request, "{error}");

    let skew = platform.server_time().await.unwrap().duration_since(stage.now());
    assert!(skew.abs().as_secs() <= 2, "{skew}");
}

async fn writes_and_reads_back(stage: &Stage<'_>) {
    let names = stage.0.names();
    let platform = stage.0.platform();
    let fields = [
        (names.last_name, Raw::text("Żółć 'quoted' \"too\"")),
        (names.email, Raw::text("first@contract.example.com")),
        (names.score, Raw::Number(42.0)),
        (names.title, Raw::text("Head")),
    ];
    let upsert = stage.upsert("first", &fields);
    let id = match platform.write(std::slice::from_ref(&upsert)).await.remove(0) {
        Outcome::Done { id, created: true, .. } => id,
        other => panic!("the first upsert creates: {other:?}"),
    };
    let again = platform.write(&[upsert]).await.remove(0);
    assert!(
        matches!(&again, Outcome::Done { id: same, created: false, .. } if *same == id),
        "{again:?}"
    );
    let ids = [names.unknown_id.to_owned(), id.clone(), id.clone()];
    let read = platform.read(&stage.ask(), &ids).await.unwrap();
    assert!(read[0].is_none());
    assert_eq!(read[1], read[2]);
    let record = read[1].clone().unwrap();
    assert_eq!(record.get(names.last_name), &Raw::text("Żółć 'quoted' \"too\""));
    assert_eq!(number(record.get(names.score)), Some(42.0));
    assert!(!record.deleted && record.successor.is_none());
    assert!(record.modified.is_some() && record.created.is_some());
    assert!(record.fields.contains_key(names.choice), "a blank field is there");

    let clear = stage.update(&id, &[(names.title, Raw::Null)]);
    assert!(matches!(platform.write(&[clear]).await[0], Outcome::Done { created: false, .. }));
    let record = stage.read_one(&id).await.unwrap();
    assert!(record.get(names.title).is_blank());
    assert_eq!(record.get(names.email), &Raw::text("first@contract.example.com"), "the rest stays");
}

/// HubSpot writes numbers as text.
fn number(raw: &Raw) -> Option<f64> {
    match raw {
        Raw::Number(number) => Some(*number),
        Raw::Text(text) => text.parse().ok(),
        _ => None,
    }
}

async fn keeps_order_in_bulk(stage: &Stage<'_>) {
    let names = stage.0.names();
    let platform = stage.0.platform();
    let writes: Vec<Write> = (0..450)
        .map(|n| {
            let last = Raw::text(format!("Bulk {n}"));
            stage.upsert(&format!("bulk{n}"), &[(names.last_name, last)])
        })
        .collect();
    let made = platform.budget().made;
    let outcomes = platform.write(&writes).await;
    assert!(platform.budget().made - made <= 12, "{}", platform.budget().made - made);
    let ids: Vec<String> = outcomes
        .into_iter()
        .map(|outcome| match outcome {
            Outcome::Done { id, created: true, .. } => id,
            other => panic!("{other:?}"),
        })
        .collect();
    let mut shuffled: Vec<usize> = (0..450).collect();
    fastrand::Rng::with_seed(3).shuffle(&mut shuffled);
    let asked: Vec<String> = shuffled.iter().map(|n| ids[*n].clone()).collect();
    let read = platform.read(&stage.ask(), &asked).await.unwrap();
    for (n, record) in shuffled.iter().zip(read) {
        let record = record.unwrap();
        assert_eq!(record.key.id, ids[*n]);
        assert_eq!(record.get(names.last_name), &Raw::text(format!("Bulk {n}")));
    }
}

async fn refuses_one_by_one(stage: &Stage<'_>) {
    let names = stage.0.names();
    let platform = stage.0.platform();
    let good = stage.person("good").await;
    let bad = stage.person("bad").await;
    let outcomes = platform
        .write(&[
            stage.update(&bad, &[(names.score, Raw::text("no number"))]),
            stage.update(names.unknown_id, &[(names.title, Raw::text("x"))]),
            stage.update(&good, &[(names.title, Raw::text("Engineer"))]),
        ])
        .await;
    let refusal = |outcome: &Outcome| match outcome {
        Outcome::Refused(refusal) => refusal.clone(),
        other => panic!("{other:?}"),
    };
    let value = refusal(&outcomes[0]);
    assert_eq!(value.kind, RefusalKind::Value, "{value:?}");
    assert!(!value.hint.is_empty() && !value.code.is_empty() && !value.message.is_empty());
    assert_eq!(refusal(&outcomes[1]).kind, RefusalKind::Gone, "{:?}", outcomes[1]);
    assert!(matches!(&outcomes[2], Outcome::Done { id, .. } if *id == good), "{:?}", outcomes[2]);
    let unknown = stage.update(&good, &[("no_such_field", Raw::text("x"))]);
    let outcomes = platform.write(&[unknown]).await;
    assert_eq!(refusal(&outcomes[0]).kind, RefusalKind::Schema, "{:?}", outcomes[0]);
}

async fn finds_without_regard_to_case(stage: &Stage<'_>) {
    let names = stage.0.names();
    let platform = stage.0.platform();
    let id = stage.person("o'finder").await;
    stage.catch_up().await;
    let values =
        ["O'FINDER@contract.example.com", "nobody@contract.example.com"].map(str::to_owned);
    let found = platform.find(&stage.ask(), names.email, &values).await.unwrap();
    let ids: Vec<_> = found.iter().map(|record| record.key.id.as_str()).collect();
    assert_eq!(ids, [id.as_str()]);
    let by_key = platform.find(&stage.ask(), names.key, &["o'finder".into()]).await.unwrap();
    assert_eq!(by_key[0].key.id, id);
    assert!(platform.find(&stage.ask(), names.email, &[]).await.unwrap().is_empty());
}

async fn reports_changes(stage: &Stage<'_>) {
    let names = stage.0.names();
    let since = stage.now();
    let id = stage.person("changed").await;
    let mut cursors = [None, None];
    stage.catch_up().await;
    let touched = |changes: &[(Change, Option<Record>)], id: &str| {
        changes
            .iter()
            .filter(|(change, _)| change.record.id == id)
            .map(|(change, seen)| {
                assert_eq!(change.kind, ChangeKind::Touched);
                seen.clone()
            })
            .next_back()
    };
    let first = stage.round(&mut cursors, since).await;
    assert!(touched(&first, &id).is_some());
    stage.0.edit(&id, names.title, "Edited by a person");
    stage.catch_up().await;
    // A cursor is text that is stored and handed back.
    let text = serde_json::to_string(&cursors).unwrap();
    cursors = serde_json::from_str(&text).unwrap();
    let second = stage.round(&mut cursors, since).await;
    let seen = touched(&second, &id).expect("an edit is reported").expect("with its values");
    assert_eq!(seen.get(names.title), &Raw::text("Edited by a person"));
    for _ in 0..20 {
        stage.catch_up().await;
        cursors = serde_json::from_str(&serde_json::to_string(&cursors).unwrap()).unwrap();
        if stage.round(&mut cursors, since).await.is_empty() {
            return;
        }
    }
    panic!("rounds without changes become empty once the overlap has passed");
}

async fn reports_deletions_and_merges(stage: &Stage<'_>) {
    let since = stage.now();
    let (gone, winner, loser) =
        (stage.person("gone").await, stage.person("winner").await, stage.person("loser").await);
    let mut cursors = [None, None];
    stage.catch_up().await;
    stage.round(&mut cursors, since).await;
    stage.0.delete(&gone);
    stage.0.merge(&winner, &loser);
    stage.catch_up().await;
    let changes = stage.round(&mut cursors, since).await;
    let of = |id: &str| changes.iter().filter(|(change, _)| change.record.id == id).count();
    assert!(of(&gone) > 0, "a deletion is reported");
    let deleted = stage.read_one(&gone).await.expect("a deleted record still reads");
    assert!(deleted.deleted && deleted.successor.is_none(), "{deleted:?}");
    // However the side says it, an old id leads to the record that lives on.
    let merged = stage.read_one(&loser).await.expect("a merged record leads somewhere");
    let lives_on = match &merged.successor {
        Some(successor) => successor.id.clone(),
        None => merged.key.id.clone(),
    };
    let survivor = stage.read_one(&lives_on).await.unwrap();
    assert!(!survivor.deleted && survivor.successor.is_none());
    let old = stage.read_one(&winner).await.unwrap();
    assert_eq!(old.key.id, survivor.key.id, "both lead to the same record");
    assert!(of(&loser) + of(&winner) + of(&survivor.key.id) > 0, "a merge is reported");
    let write = stage.update(&gone, &[(stage.0.names().title, Raw::text("x"))]);
    match stage.0.platform().write(&[write]).await.remove(0) {
        Outcome::Refused(refusal) => assert_eq!(refusal.kind, RefusalKind::Gone, "{refusal:?}"),
        other => panic!("{other:?}"),
    }
}

async fn lists_and_counts(stage: &Stage<'_>) {
    let names = stage.0.names();
    let platform = stage.0.platform();
    let [one, two] = names.choices;
    for (n, choice) in [one, one, two].into_iter().enumerate() {
        let id = stage.person(&format!("counted{n}")).await;
        let write = stage.update(&id, &[(names.choice, Raw::text(choice))]);
        assert!(matches!(platform.write(&[write]).await[0], Outcome::Done { .. }));
    }
    stage.catch_up().await;
    let mut listed = BTreeMap::new();
    let mut cursor = None;
    loop {
        let page = platform.list(&stage.ask(), cursor.as_ref()).await.unwrap();
        for (change, seen) in page.changes.into_iter().zip(page.seen) {
            // HubSpot lists a survivor with the ids that it has left behind.
            if change.kind != ChangeKind::Touched {
                continue;
            }
            let before = listed.insert(change.record.id.clone(), seen.expect("live records show"));
            assert!(before.is_none(), "{} twice", change.record.id);
        }
        cursor = Some(page.cursor);
        if !page.more {
            break;
        }
    }
    assert!(listed.len() > 450);
    let values = names.choices.map(str::to_owned);
    let counts = platform.count_by(names.object, names.choice, &values).await.unwrap();
    for value in names.choices {
        let held = listed.values().filter(|record| record.get(names.choice) == &Raw::text(value));
        assert_eq!(counts[value], held.count() as u64, "{value}: {counts:?}");
    }
}

async fn survives_faults(stage: &Stage<'_>) {
    let names = stage.0.names();
    let platform = stage.0.platform();
    let id = stage.person("faulty").await;
    // No effect, and the platform says so or the client can repeat: nobody notices.
    for fault in ["too-many-requests", "expire-token", "slow"] {
        stage.arm(fault);
        let write = stage.update(&id, &[(names.title, Raw::text(fault))]);
        let mut outcome = platform.write(std::slice::from_ref(&write)).await.remove(0);
        // What would go out late is for the caller to decide anew.
        if let Outcome::Late { left } = outcome {
            tokio::time::sleep(left).await;
            outcome = platform.write(&[write]).await.remove(0);
        }
        assert!(matches!(outcome, Outcome::Done { .. }), "{fault}: {outcome:?}");
        assert_eq!(stage.read_one(&id).await.unwrap().get(names.title), &Raw::text(fault));
    }
    for fault in ["unavailable", "html", "server-error", "empty-body", "timeout-after", "cut-after"]
    {
        stage.arm(fault);
        assert!(stage.read_one(&id).await.is_some(), "{fault}");
    }
    // The write may or may not have happened: it is done or unknown, and never silently lost.
    for fault in ["empty-body", "timeout-after", "cut-after", "unavailable", "html", "server-error"]
    {
        let wanted = Raw::text(format!("after {fault}"));
        stage.arm(fault);
        let write = stage.update(&id, &[(names.title, wanted.clone())]);
        let outcome = platform.write(std::slice::from_ref(&write)).await.remove(0);
        let holds = stage.read_one(&id).await.unwrap().get(names.title) == &wanted;
        match outcome {
            Outcome::Done { .. } => assert!(holds, "{fault}"),
            Outcome::Unknown(_) => {}
            other => panic!("{fault}: {other:?}"),
        }
        assert!(matches!(platform.write(&[write]).await[0], Outcome::Done { .. }), "{fault}");
    }
    stage.arm("daily-limit");
    let write = stage.update(&id, &[(names.title, Raw::text("tomorrow"))]);
    match platform.write(&[write]).await.remove(0) {
        Outcome::NotDone(Error { kind: ErrorKind::WaitUntil(at), .. }) => assert!(at > stage.now()),
        other => panic!("{other:?}"),
    }
}
