//! What leaders ask, as figures.
//!
//! [`report`] is a function of the handoffs and the time. What it gives is a plain value: the
//! command line prints it, the page draws it, `--json` is it.

mod answers;
mod spread;

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::fact::{FactKind, How, OwnerKind, Touch, What};
use super::level::{Standing, answerable, deadline, standing};
use super::record::{Handoff, State};
use crate::mapping::handoff::{Calendar, Goal, ServiceLevels};

pub use answers::{Answer, answers};
pub use spread::{Spread, Times};

/// A group of fewer handoffs than this says little: a rate of so few moves by more than 15 points
/// with luck alone.
pub const SMALL: u64 = 30;

/// What groups are made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum By {
    /// Where the person came from.
    Source,
    /// Who has it.
    Owner,
    /// What kind of customer it would be.
    Segment,
    /// The week in which it qualified.
    Week,
}

impl By {
    /// All, in the order in which help lists them.
    pub const ALL: [Self; 4] = [Self::Source, Self::Owner, Self::Segment, Self::Week];

    /// The word for it.
    #[must_use]
    pub const fn key(self) -> &'static str {
        match self {
            Self::Source => "source",
            Self::Owner => "owner",
            Self::Segment => "segment",
            Self::Week => "week",
        }
    }
}

/// What the mapping says, as far as the figures depend on it.
#[derive(Debug, Clone, Copy)]
pub struct Terms<'a> {
    /// The deadlines.
    pub levels: &'a ServiceLevels,
    /// Business time.
    pub calendar: &'a Calendar,
}

/// One handoff under its mapping's terms.
#[derive(Debug, Clone, Copy)]
pub struct Item<'a> {
    /// The handoff.
    pub handoff: &'a Handoff,
    /// The terms.
    pub terms: Terms<'a>,
}

/// What is asked.
#[derive(Debug, Clone, Copy)]
pub struct Query {
    /// Handoffs that qualified at this time or later.
    pub since: Option<Timestamp>,
    /// Handoffs that qualified before this time.
    pub until: Option<Timestamp>,
    /// What groups are made of.
    pub by: Option<By>,
    /// The time.
    pub now: Timestamp,
}

/// The report.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Report {
    /// From when on handoffs qualified that are in it.
    #[schemars(with = "Option<String>")]
    pub since: Option<Timestamp>,
    /// Until when.
    #[schemars(with = "Option<String>")]
    pub until: Option<Timestamp>,
    /// When it was made.
    #[schemars(with = "String")]
    pub made: Timestamp,
    /// The four questions of the trade, each answered in a sentence.
    pub answers: Vec<Answer>,
    /// All handoffs together.
    pub total: Figures,
    /// What groups are made of.
    pub by: Option<By>,
    /// Each group, the largest first; weeks in order.
    pub groups: Vec<Group>,
}

/// One group.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Group {
    /// What its members have in common; `unknown` where that is not known.
    pub name: String,
    /// Whether it has too few members for its rates to say much.
    pub small: bool,
    /// Its figures.
    pub figures: Figures,
}

/// The figures of some handoffs.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Figures {
    /// Where those that qualified went; it must balance.
    pub balance: Balance,
    /// How many stand where.
    pub states: BTreeMap<State, u64>,
    /// From qualified to in Salesforce: the system's share.
    pub system: Times,
    /// From in Salesforce to the first touch: the people's share.
    pub people: Times,
    /// Of those in Salesforce, how many a person owns.
    pub owned: Rate,
    /// Of those in Salesforce, how many lie in a queue.
    pub queued: u64,
    /// Of those in Salesforce, how many came with a task.
    pub tasked: Rate,
    /// Of those in Salesforce, how many were touched or answered.
    pub touched: Rate,
    /// The first touches by method.
    pub methods: BTreeMap<Touch, u64>,
    /// Of those in Salesforce, how many sales accepted, ever.
    pub accepted: Rate,
    /// Of those in Salesforce, how many stand returned.
    pub returned: Rate,
    /// Why they were returned, the most frequent first.
    pub return_reasons: Vec<Counted>,
    /// How many lapsed.
    pub lapsed: u64,
    /// Each service level.
    pub levels: Vec<Compliance>,
    /// Of those that qualified, how many were won.
    pub won: Rate,
    /// How many were lost.
    pub lost: u64,
    /// Why they were lost, the most frequent first.
    pub loss_reasons: Vec<Counted>,
    /// From qualified to won.
    pub to_win: Spread,
    /// What was won together, in hundredths of the account's currency; nothing where no amount is
    /// known.
    pub won_cents: Option<i64>,
    /// Of the won ones, how many amounts are known.
    pub amounts_known: u64,
    /// What is odd: times that run backwards. They count everywhere but in the times.
    pub odd: Odd,
}

/// `qualified = sent + matched + excluded + rejected + under way`
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Balance {
    /// How many qualified.
    pub qualified: u64,
    /// Created in Salesforce.
    pub sent: u64,
    /// In Salesforce already.
    pub matched: u64,
    /// Kept from sales.
    pub excluded: u64,
    /// Why, the most frequent first.
    pub excluded_by: Vec<Counted>,
    /// Refused by Salesforce.
    pub rejected: u64,
    /// Why, the most frequent first.
    pub rejected_by: Vec<Counted>,
    /// On their way.
    pub under_way: u64,
}

impl Balance {
    /// Whether every one that qualified is accounted for.
    #[must_use]
    pub const fn balances(&self) -> bool {
        self.qualified == self.sent + self.matched + self.excluded + self.rejected + self.under_way
    }

    /// How many are in Salesforce.
    #[must_use]
    pub const fn reached(&self) -> u64 {
        self.sent + self.matched
    }

    /// The equation as it is printed.
    #[must_use]
    pub fn equation(&self) -> String {
        use super::story::grouped;
        format!(
            "{} qualified {} {} sent + {} matched + {} excluded + {} rejected + {} under way",
            grouped(self.qualified),
            if self.balances() { "=" } else { "≠" },
            grouped(self.sent),
            grouped(self.matched),
            grouped(self.excluded),
            grouped(self.rejected),
            grouped(self.under_way),
        )
    }
}

/// So many of so many.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Rate {
    /// How many.
    pub count: u64,
    /// Of how many.
    pub of: u64,
}

impl Rate {
    /// The share, from 0 to 1; nothing of nothing.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
    pub fn share(self) -> Option<f64> {
        (self.of > 0).then(|| self.count as f64 / self.of as f64)
    }

    const fn add(&mut self, counts: bool) {
        self.of += 1;
        self.count += counts as u64;
    }
}

/// Something with how often it occurs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Counted {
    /// What.
    pub name: String,
    /// How often.
    pub count: u64,
}

/// How a service level was kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Compliance {
    /// Which.
    pub goal: Goal,
    /// How long it may take, in seconds of business time. Where mappings differ, the longest.
    pub within: i64,
    /// Those reached in time, of all that are decided: reached, or overdue.
    pub kept: Rate,
    /// Those that have time left.
    pub running: u64,
    /// Breaches by who had it when the deadline passed, the most first.
    pub breaches: Vec<Counted>,
}

/// Times that run backwards.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Odd {
    /// In Salesforce before they qualified.
    pub sent_before_qualified: u64,
    /// Touched before they were in Salesforce.
    pub touched_before_sent: u64,
    /// Won before they qualified.
    pub won_before_qualified: u64,
}

/// Makes the report.
#[must_use]
pub fn report(items: &[Item<'_>], query: &Query) -> Report {
    let in_time = |item: &&Item<'_>| {
        let at = item.handoff.qualified_at;
        query.since.is_none_or(|since| at >= since) && query.until.is_none_or(|until| at < until)
    };
    let items: Vec<&Item<'_>> = items.iter().filter(in_time).collect();
    let total = figures(&items, query.now);
    let groups = query.by.map(|by| groups(&items, by, query.now)).unwrap_or_default();
    Report {
        since: query.since,
        until: query.until,
        made: query.now,
        answers: answers(&total),
        total,
        by: query.by,
        groups,
    }
}

fn groups(items: &[&Item<'_>], by: By, now: Timestamp) -> Vec<Group> {
    let mut members: BTreeMap<String, Vec<&Item<'_>>> = BTreeMap::new();
    for item in items {
        members.entry(group_of(item, by)).or_default().push(item);
    }
    let mut groups: Vec<Group> = members
        .into_iter()
        .map(|(name, items)| {
            let figures = figures(&items, now);
            Group { name, small: figures.balance.qualified < SMALL, figures }
        })
        .collect();
    if by != By::Week {
        groups.sort_by_key(|group| std::cmp::Reverse(group.figures.balance.qualified));
    }
    groups
}

fn group_of(item: &Item<'_>, by: By) -> String {
    let handoff = item.handoff;
    let name = match by {
        By::Source | By::Segment => handoff.groups.get(by.key()).cloned(),
        By::Owner => handoff.owner().map(ToString::to_string),
        By::Week => {
            let week = item.terms.calendar.day_of(handoff.qualified_at).iso_week_date();
            Some(format!("{}-W{:02}", week.year(), week.week()))
        }
    };
    name.filter(|name| !name.is_empty()).unwrap_or_else(|| "unknown".to_owned())
}

/// The figures of some handoffs.
#[must_use]
pub fn figures(items: &[&Item<'_>], now: Timestamp) -> Figures {
    let mut sum = Sum::default();
    for item in items {
        sum.add(item, now);
    }
    sum.figures()
}

type Tally = BTreeMap<String, u64>;

#[derive(Default)]
struct Sum {
    figures: Figures,
    excluded: Tally,
    rejected: Tally,
    returned: Tally,
    lost: Tally,
    system: (Vec<SignedDuration>, Vec<SignedDuration>),
    people: (Vec<SignedDuration>, Vec<SignedDuration>),
    to_win: Vec<SignedDuration>,
    levels: BTreeMap<Goal, (i64, Rate, u64, Tally)>,
}

impl Sum {
    fn add(&mut self, item: &Item<'_>, now: Timestamp) {
        let handoff = item.handoff;
        let state = handoff.state();
        *self.figures.states.entry(state).or_default() += 1;
        self.balance(handoff, state);
        if handoff.sent().is_some() {
            self.times(item);
            self.received(handoff);
            self.answered(handoff, state);
        }
        self.outcome(handoff, state);
        for goal in [Goal::Touch, Goal::Accept] {
            self.level(item, goal, now);
        }
    }

    fn balance(&mut self, handoff: &Handoff, state: State) {
        let balance = &mut self.figures.balance;
        balance.qualified += 1;
        let why = || handoff.why_ended().unwrap_or_default().to_owned();
        match (handoff.sent(), state) {
            (Some((_, How::Created)), _) => balance.sent += 1,
            (Some((_, How::Matched)), _) => balance.matched += 1,
            (None, State::Excluded) => {
                balance.excluded += 1;
                *self.excluded.entry(why()).or_default() += 1;
            }
            (None, State::Rejected) => {
                balance.rejected += 1;
                *self.rejected.entry(why()).or_default() += 1;
            }
            (None, _) => balance.under_way += 1,
        }
    }

    fn times(&mut self, item: &Item<'_>) {
        let handoff = item.handoff;
        let Some((sent, how)) = handoff.sent() else { return };
        let calendar = item.terms.calendar;
        // A record that was there before it qualified took no time to get there.
        match (how, sent.duration_since(handoff.qualified_at)) {
            (How::Created, raw) if raw.is_negative() => {
                self.figures.odd.sent_before_qualified += 1;
            }
            (How::Created, raw) => {
                self.system.0.push(raw);
                self.system.1.push(calendar.between(handoff.qualified_at, sent));
            }
            (How::Matched, _) => {}
        }
        let from = sent.max(handoff.qualified_at);
        let touched = handoff.touched().map(|(at, ..)| at);
        let Some(touched) = touched.into_iter().chain(handoff.answered_at()).min() else { return };
        let raw = touched.duration_since(from);
        if raw.is_negative() {
            self.figures.odd.touched_before_sent += 1;
        } else {
            self.people.0.push(raw);
            self.people.1.push(calendar.between(from, touched));
        }
    }

    fn received(&mut self, handoff: &Handoff) {
        let figures = &mut self.figures;
        let kind = handoff.owner().map(|owner| owner.kind);
        figures.owned.add(kind == Some(OwnerKind::Person));
        figures.queued += u64::from(kind == Some(OwnerKind::Queue));
        figures.tasked.add(handoff.facts.has(FactKind::Tasked));
    }

    fn answered(&mut self, handoff: &Handoff, state: State) {
        let figures = &mut self.figures;
        let touched = handoff.touched();
        figures.touched.add(touched.is_some() || handoff.answered_at().is_some());
        if let Some((_, method, _)) = touched {
            *figures.methods.entry(method).or_default() += 1;
        }
        figures.accepted.add(handoff.accepted_at().is_some());
        figures.returned.add(state == State::Returned);
        figures.lapsed += u64::from(state == State::Lapsed);
        if state == State::Returned {
            let why = handoff.why_ended().unwrap_or("no reason given");
            *self.returned.entry(why.to_owned()).or_default() += 1;
        }
    }

    fn outcome(&mut self, handoff: &Handoff, state: State) {
        let figures = &mut self.figures;
        figures.won.add(state == State::Won);
        if state == State::Lost {
            figures.lost += 1;
            let why = handoff.why_ended().unwrap_or("no reason given");
            *self.lost.entry(why.to_owned()).or_default() += 1;
        }
        if let Some(at) = handoff.won_at() {
            let took = at.duration_since(handoff.qualified_at);
            if took.is_negative() {
                figures.odd.won_before_qualified += 1;
            } else {
                self.to_win.push(took);
            }
            if let Some(cents) = handoff.won_cents() {
                figures.amounts_known += 1;
                let sum = figures.won_cents.unwrap_or_default();
                figures.won_cents = Some(sum.saturating_add(cents));
            }
        }
    }

    fn level(&mut self, item: &Item<'_>, goal: Goal, now: Timestamp) {
        let Item { handoff, terms } = item;
        let Some(level) = terms.levels.of(goal) else { return };
        let (within, kept, running, breaches) = self.levels.entry(goal).or_default();
        *within = level.within.as_secs().max(*within);
        match standing(handoff, goal, terms.levels, terms.calendar, now) {
            Standing::Met => kept.add(true),
            Standing::Breached => {
                kept.add(false);
                let due = deadline(handoff, goal, terms.levels, terms.calendar);
                let who = due.and_then(|due| answerable(handoff, due));
                let who = who.map_or_else(|| "nobody".to_owned(), ToString::to_string);
                *breaches.entry(who).or_default() += 1;
            }
            Standing::Running => *running += 1,
            Standing::Void => {}
        }
    }

    fn figures(self) -> Figures {
        let mut figures = self.figures;
        figures.balance.excluded_by = most_first(self.excluded);
        figures.balance.rejected_by = most_first(self.rejected);
        figures.return_reasons = most_first(self.returned);
        figures.loss_reasons = most_first(self.lost);
        figures.system = Times::of(self.system);
        figures.people = Times::of(self.people);
        figures.to_win = Spread::of(self.to_win);
        figures.levels = self
            .levels
            .into_iter()
            .map(|(goal, (within, kept, running, breaches))| Compliance {
                goal,
                within,
                kept,
                running,
                breaches: most_first(breaches),
            })
            .collect();
        figures
    }
}

fn most_first(tally: Tally) -> Vec<Counted> {
    let mut list: Vec<Counted> =
        tally.into_iter().map(|(name, count)| Counted { name, count }).collect();
    list.sort_by_key(|counted| std::cmp::Reverse(counted.count));
    list
}

/// Where each of the handoffs is said to have been told to somebody: the latest facts first, for a
/// page that shows what goes on.
#[must_use]
pub fn latest<'a>(items: &[Item<'a>], most: usize) -> Vec<(&'a Handoff, Timestamp, &'a What)> {
    let mut all: Vec<(&Handoff, Timestamp, &What)> = items
        .iter()
        .flat_map(|item| item.handoff.facts.iter().map(|fact| (item.handoff, fact.at, &fact.what)))
        .collect();
    all.sort_by_key(|(handoff, at, _)| (std::cmp::Reverse(*at), handoff.id));
    all.truncate(most);
    all
}
