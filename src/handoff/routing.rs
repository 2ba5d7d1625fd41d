//! Whose turn it is.

use std::collections::BTreeMap;

use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use crate::mapping::Sight;
use crate::mapping::handoff::{Member, Robin};

/// What is remembered of the turns: it makes the next pick, and is stored before the
/// assignment goes out.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Turns {
    /// How far ahead of their share the members are, below zero: of those who can, whoever has the
    /// most credit is next.
    pub credit: BTreeMap<String, i64>,
    /// The day that `today` counts.
    pub day: Option<Date>,
    /// How many each got on that day.
    pub today: BTreeMap<String, u32>,
}

/// Who is next, and who was passed over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pick {
    /// The one whose turn it is, by e-mail address; nobody where none of them can.
    pub user: Option<String>,
    /// Those who could not, and why.
    pub passed: Vec<(String, Passed)>,
}

/// Why a member was passed over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Passed {
    /// The member's condition does not hold for the record.
    Condition,
    /// The user is not active, or there is none with this address.
    Inactive,
    /// The member had all of today's.
    Cap,
    /// The record is to go to another one.
    Had,
}

impl Passed {
    /// In words, as the end of "ann was passed over: …".
    #[must_use]
    pub const fn words(self) -> &'static str {
        match self {
            Self::Condition => "the record is not one of theirs",
            Self::Inactive => "not an active user",
            Self::Cap => "has as many as a day allows",
            Self::Had => "has had this one",
        }
    }
}

/// What stands around a pick.
pub struct Around<'a, S> {
    /// The record.
    pub sight: &'a S,
    /// Whether the user with this address can own records.
    pub active: &'a dyn Fn(&str) -> bool,
    /// Whoever has it already and is to be passed over.
    pub not: Option<&'a str>,
    /// The day, by the calendar.
    pub day: Date,
}

/// Whose turn it is, and the turns after that.
///
/// The smooth form of weighted round robin: everyone who can gets as much credit as their weight,
/// the one with the most is next and pays what all got. Over a round each gets exactly their share,
/// spread evenly; who cannot for a while neither loses nor gains.
#[must_use]
pub fn pick<S: Sight>(robin: &Robin, turns: &Turns, around: &Around<'_, S>) -> (Pick, Turns) {
    let mut next = turns.clone();
    if next.day != Some(around.day) {
        next.day = Some(around.day);
        next.today.clear();
    }
    next.credit.retain(|user, _| robin.members.iter().any(|member| member.user == *user));
    let mut passed = Vec::new();
    let mut able: Vec<&Member> = Vec::new();
    for member in &robin.members {
        match hindered(member, &next, around) {
            Some(why) => passed.push((member.user.clone(), why)),
            None => able.push(member),
        }
    }
    let total: i64 = able.iter().map(|member| i64::from(member.weight)).sum();
    let mut best: Option<(i64, &Member)> = None;
    for member in able {
        let credit = next.credit.entry(member.user.clone()).or_default();
        *credit += i64::from(member.weight);
        if best.is_none_or(|(most, _)| *credit > most) {
            best = Some((*credit, member));
        }
    }
    let Some((_, member)) = best else { return (Pick { user: None, passed }, next) };
    *next.credit.entry(member.user.clone()).or_default() -= total;
    *next.today.entry(member.user.clone()).or_default() += 1;
    (Pick { user: Some(member.user.clone()), passed }, next)
}

fn hindered<S: Sight>(member: &Member, turns: &Turns, around: &Around<'_, S>) -> Option<Passed> {
    if around.not == Some(member.user.as_str()) {
        return Some(Passed::Had);
    }
    let fits = member.when.as_ref().is_none_or(|when| when.holds(around.sight) == Ok(true));
    if !fits {
        return Some(Passed::Condition);
    }
    if !(around.active)(&member.user) {
        return Some(Passed::Inactive);
    }
    let had = turns.today.get(&member.user).copied().unwrap_or_default();
    member.cap.is_some_and(|cap| had >= cap).then_some(Passed::Cap)
}
