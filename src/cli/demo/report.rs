//! What the demo came to, as a value: printed for people, or as JSON.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;

use super::compare::{Comparison, all_links, compare};
use super::rig::{Rig, failure};
use crate::cli::Failure;
use crate::daemon::webhooks::WebhookStatus;
use crate::journal::{Journal, LINK_ITSELF, LinkState};
use crate::record::{LinkId, PerSide, Side, Source};
use crate::sandbox::calls::{Calls, Purpose};
use crate::sandbox::fault::Side as Platform;

/// How long the last pass may take to settle what is left.
const LAST: Duration = Duration::from_secs(5);

/// Rules that decide between two edits of one field.
const RULES: [&str; 7] =
    ["newest", "hubspot", "salesforce", "furthest", "highest", "lowest", "person"];

/// The whole report.
#[derive(Debug, Serialize)]
pub struct Report {
    /// What was there at the beginning.
    pub began_with: Told,
    /// What people did, and how often.
    pub deeds: Vec<(String, u32)>,
    /// What went wrong on the way, by the sandbox's names, and the rounds that it ended.
    pub faults: Faults,
    /// Where the news of each object came from.
    pub news: Vec<News>,
    /// What became of HubSpot's webhooks.
    pub webhooks: Option<WebhookStatus>,
    /// What the daemon wrote, and what that cost.
    pub sides: PerSide<Figures>,
    /// Links by mapping.
    pub links: BTreeMap<String, Links>,
    /// Both sides compared.
    pub compared: Comparison,
    /// Edits of one field on both sides, and who won.
    pub conflicts: Vec<Settlement>,
    /// What waits for a person.
    pub waiting: Vec<Waiting>,
    /// The last pass over everything.
    pub last_pass: LastPass,
    /// What became of a file's leads.
    pub file: Option<FileFigures>,
    /// Where the journal stays, where it does.
    pub journal: Option<String>,
}

/// What was there at the beginning.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Told {
    /// Contacts in HubSpot.
    pub contacts: usize,
    /// Leads in Salesforce.
    pub leads: usize,
    /// People on both sides.
    pub both: usize,
}

/// What went wrong on the way.
#[derive(Debug, Clone, Serialize)]
pub struct Faults {
    /// Those that were let loose.
    pub armed: Vec<String>,
    /// Calls that were not answered with success.
    pub failed_calls: u64,
    /// Rounds of the daemon that ended early.
    pub interrupted: u32,
}

/// Where the news of one object came from.
#[derive(Debug, Clone, Serialize)]
pub struct News {
    /// The side.
    pub side: Side,
    /// The object.
    pub object: String,
    /// Changes that arrived by themselves: by a stream or a webhook.
    pub pushed: u64,
    /// Changes that only a poll found.
    pub polled: u64,
    /// How well word of changes arrives at the end: `healthy`, `recovering`, `down`; none where
    /// nothing is pushed.
    pub push: Option<&'static str>,
}

/// What the daemon wrote on one side, and what that cost.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Figures {
    /// Records that were created.
    pub created: u64,
    /// Records that were changed, each time counted.
    pub changed: u64,
    /// Records that were deleted.
    pub deleted: u64,
    /// Writes that the platform refused.
    pub refused: u64,
    /// Calls in all.
    pub calls: u64,
    /// Calls that read.
    pub reads: u64,
    /// Calls that wrote.
    pub writes: u64,
    /// Calls that signed in.
    pub sign_ins: u64,
    /// Calls by method and route.
    pub by_route: BTreeMap<String, u64>,
}

/// The links of one mapping.
#[derive(Debug, Clone, Copy, Default, Serialize)]
pub struct Links {
    /// Those that are kept in agreement.
    pub active: u64,
    /// Those whose record left the scope, or that wait for a deleted record to come back.
    pub resting: u64,
    /// Those that ended.
    pub ended: u64,
}

/// How often a rule decided, and for whom.
#[derive(Debug, Clone, Serialize, PartialEq, Eq, PartialOrd, Ord)]
pub struct Settlement {
    /// Whether both sides had edited since they last agreed, or met for the first time.
    pub first_meeting: bool,
    /// The rule.
    pub rule: String,
    /// The side whose value lives on; none where it is another one.
    pub won: Option<Side>,
    /// How often.
    pub count: u64,
}

/// Something that waits for a person.
#[derive(Debug, Clone, Serialize)]
pub struct Waiting {
    /// `conflict`, `match`, `reject`, `hold`.
    pub kind: &'static str,
    /// What it is about.
    pub about: String,
    /// Why.
    pub reason: String,
    /// What to do.
    pub next: String,
}

/// The last pass over everything.
#[derive(Debug, Clone, Copy, Default, Serialize)]
pub struct LastPass {
    /// Links that were compared anew.
    pub links: u64,
    /// Records that the platforms listed.
    pub listed: u64,
    /// Calls that it took, on both sides.
    pub calls: u64,
    /// Calls that wrote. Must be 0.
    pub writes: u64,
    /// Records that were written. Must be 0.
    pub written: u64,
}

/// What became of a file's leads.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct FileFigures {
    /// Rows.
    pub rows: u64,
    /// Rows that were won.
    pub won: u64,
    /// People who are linked.
    pub linked: u64,
    /// Linked people at the stage of customers, by side.
    pub customers: PerSide<u64>,
}

impl FileFigures {
    /// Whether every lead arrived and every customer came back.
    pub fn is_whole(&self) -> bool {
        self.linked == self.rows
            && self.customers.hubspot == self.won
            && self.customers.salesforce == self.won
    }
}

impl Report {
    /// Looks at everything once all is quiet, and lets the daemon go over it once more.
    pub async fn gather(
        rig: &Rig,
        began_with: Told,
        deeds: Vec<(String, u32)>,
    ) -> Result<Self, Failure> {
        // Before the comparison, whose look at the owners costs calls of its own.
        let sides = figures(rig).await?;
        let faults = faults(rig, !deeds.is_empty());
        let compared = compare(rig).await?;
        Ok(Self {
            began_with,
            deeds,
            faults,
            news: news(rig),
            webhooks: rig.engine.webhooks.status(),
            sides,
            links: links(rig).await?,
            compared,
            conflicts: conflicts(&rig.engine.journal).await?,
            waiting: waiting(&rig.engine.journal).await?,
            last_pass: last_pass(rig).await?,
            file: None,
            journal: rig.kept().map(|path| path.display().to_string()),
        })
    }

    /// Whether both sides agree wherever they should and the last pass wrote nothing.
    pub fn is_well(&self) -> bool {
        self.compared.unexplained.is_empty()
            && self.last_pass.writes == 0
            && self.last_pass.written == 0
            && self.file.is_none_or(|file| file.is_whole())
    }
}

async fn counters(rig: &Rig) -> Result<BTreeMap<String, u64>, Failure> {
    let statistics = rig.engine.journal.statistics().await;
    let statistics = statistics.map_err(|error| failure(error.into()))?;
    let mut sum = BTreeMap::new();
    for (name, count) in statistics.mappings.into_values().flatten() {
        *sum.entry(name).or_default() += u64::try_from(count).unwrap_or_default();
    }
    Ok(sum)
}

async fn figures(rig: &Rig) -> Result<PerSide<Figures>, Failure> {
    let counters = counters(rig).await?;
    let world = rig.sandbox.world();
    Ok(PerSide::from_fn(|side| {
        let count = |what: &str| {
            counters.get(&format!("{what}.{}", side.key())).copied().unwrap_or_default()
        };
        let platform = platform(side);
        let of = |purpose| world.calls.of(platform, purpose);
        Figures {
            created: count("created"),
            changed: count("written"),
            deleted: count("deleted"),
            refused: count("refused"),
            calls: world.calls.total(platform),
            reads: of(Purpose::Read),
            writes: of(Purpose::Write),
            sign_ins: of(Purpose::Token),
            by_route: by_route(&world.calls, platform),
        }
    }))
}

fn by_route(calls: &Calls, platform: Platform) -> BTreeMap<String, u64> {
    let mut routes = BTreeMap::new();
    for (key, count) in calls.counted().iter().filter(|(key, _)| key.side == platform) {
        *routes.entry(format!("{} {}", key.method, key.route)).or_default() += count;
    }
    routes
}

const fn platform(side: Side) -> Platform {
    match side {
        Side::HubSpot => Platform::HubSpot,
        Side::Salesforce => Platform::Salesforce,
    }
}

fn faults(rig: &Rig, loose: bool) -> Faults {
    let world = rig.sandbox.world();
    let failed = world.calls.counted().iter().filter(|(key, _)| {
        // A batch of which a part was refused is answered, and so is a question after nothing.
        key.status.is_none_or(|status| status == 429 || status >= 500)
    });
    Faults {
        armed: if loose { rig.armed() } else { Vec::new() },
        failed_calls: failed.map(|(_, count)| count).sum(),
        interrupted: rig.interrupted.get(),
    }
}

fn news(rig: &Rig) -> Vec<News> {
    let now = rig.engine.clock.now();
    let mut all = Vec::new();
    for side in Side::BOTH {
        for object in rig.engine.objects(side) {
            let news = rig.engine.intake.news(side, &object, now);
            let polled = news.brought.get(&Source::Poll).copied().unwrap_or_default();
            let pushed = news.brought.values().sum::<u64>() - polled;
            let push = news.push.map(|push| push.state.word());
            all.push(News { side, object, pushed, polled, push });
        }
    }
    all
}

async fn links(rig: &Rig) -> Result<BTreeMap<String, Links>, Failure> {
    let mut sum: BTreeMap<String, Links> = BTreeMap::new();
    for mapping in &rig.engine.mappings().list {
        sum.insert(mapping.name.clone(), Links::default());
    }
    for link in all_links(rig).await? {
        let links = sum.entry(link.mapping).or_default();
        match link.state {
            LinkState::Active => links.active += 1,
            LinkState::OutOfScope { .. } | LinkState::Waiting { .. } => links.resting += 1,
            LinkState::Unlinked { .. } | LinkState::Retired { .. } => links.ended += 1,
        }
    }
    Ok(sum)
}

async fn conflicts(journal: &Journal) -> Result<Vec<Settlement>, Failure> {
    let mut counts: BTreeMap<(bool, String, Option<Side>), u64> = BTreeMap::new();
    let mut after: Option<(LinkId, u64)> = None;
    loop {
        let page =
            journal.all_history(after, 1_000).await.map_err(|error| failure(error.into()))?;
        let Some(last) = page.last() else { break };
        after = Some((last.link, last.seq));
        for line in page {
            let decided = line.field != LINK_ITSELF && RULES.contains(&line.rule.as_str());
            if !decided || line.lost.is_empty() {
                continue;
            }
            let won = Side::BOTH.into_iter().find(|side| !line.lost.contains_key(side));
            let first = line.reason.starts_with("first meeting");
            *counts.entry((first, line.rule, won)).or_default() += 1;
        }
    }
    let settled = counts.into_iter();
    Ok(settled
        .map(|((first_meeting, rule, won), count)| Settlement { first_meeting, rule, won, count })
        .collect())
}

async fn waiting(journal: &Journal) -> Result<Vec<Waiting>, Failure> {
    let broken = |error: crate::journal::Error| failure(error.into());
    let mut all = Vec::new();
    for entry in journal.conflicts(None, None, usize::MAX).await.map_err(broken)? {
        let PerSide { hubspot, salesforce } = &entry.conflict.values;
        all.push(Waiting {
            kind: "conflict",
            about: format!("{} {} {}", entry.mapping, entry.link, entry.field),
            reason: format!(
                "HubSpot {:?}, Salesforce {:?}: {}",
                hubspot.to_string(),
                salesforce.to_string(),
                entry.conflict.reason
            ),
            next: format!(
                "lockstep conflicts resolve {} {} --take salesforce",
                entry.link, entry.field
            ),
        });
    }
    for entry in journal.matches(None, None, usize::MAX).await.map_err(broken)? {
        all.push(Waiting {
            kind: "match",
            about: format!("{} {}", entry.mapping, entry.record),
            reason: entry.reason,
            next: format!(
                "lockstep conflicts match {} ID, or merge them where they are",
                entry.record.id
            ),
        });
    }
    for entry in journal.rejects(None, None, usize::MAX).await.map_err(broken)? {
        let whole = if entry.is_whole() { "the record" } else { &entry.field };
        all.push(Waiting {
            kind: "reject",
            about: format!("{} {} {whole}", entry.mapping, entry.subject),
            reason: format!("{} ({})", entry.reason, entry.code),
            next: entry.hint.unwrap_or_else(|| "correct the value where it comes from".to_owned()),
        });
    }
    for hold in journal.holds().await.map_err(broken)? {
        if hold.released.is_some() {
            continue;
        }
        all.push(Waiting {
            kind: "hold",
            about: format!("{} {}", hold.mapping.unwrap_or_default(), hold.id),
            reason: format!("{}: {} plans", hold.reason, hold.count),
            next: format!("lockstep holds release {}", hold.id),
        });
    }
    Ok(all)
}

/// Every link in line once more, both sides listed, everything settled.
async fn last_pass(rig: &Rig) -> Result<LastPass, Failure> {
    let written = |counters: &BTreeMap<String, u64>| -> u64 {
        let kinds = ["created.", "written.", "deleted."];
        let writes =
            counters.iter().filter(|(name, _)| kinds.iter().any(|it| name.starts_with(it)));
        writes.map(|(_, count)| count).sum()
    };
    let calls = |purpose: Option<Purpose>| -> u64 {
        let world = rig.sandbox.world();
        let of = |side| match purpose {
            Some(purpose) => world.calls.of(side, purpose),
            None => world.calls.total(side),
        };
        Platform::BOTH.into_iter().map(of).sum()
    };
    let before = (written(&counters(rig).await?), calls(Some(Purpose::Write)), calls(None));
    rig.sandbox.clock().advance(jiff::SignedDuration::from_secs(60));
    let links = rig.engine.sweep().await.map_err(failure)?;
    let heeded = rig.engine.listen().await.map_err(failure)?;
    rig.engine.settle_all(LAST).await.map_err(failure)?;
    let count = |number: usize| u64::try_from(number).unwrap_or(u64::MAX);
    Ok(LastPass {
        links: count(links),
        listed: count(heeded.listed),
        calls: calls(None) - before.2,
        writes: calls(Some(Purpose::Write)) - before.1,
        written: written(&counters(rig).await?) - before.0,
    })
}
