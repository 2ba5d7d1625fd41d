//! What a HubSpot account holds.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use super::associations::Associations;
use super::index::Index;
use super::limits::Limiter;
use super::oauth::Auth;
use super::object::Object;
use super::owners::Owner;
use super::pipelines::{self, Pipeline};
use super::properties::{External, Property};
use super::record::Record;
use super::sequences::Sequences;
use super::standard;
use super::webhooks::Webhooks;

/// What an admin of the account can set, and how the platform behaves where it differs from one
/// account or moment to the next.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// How late search sees a write.
    pub search_lag: SignedDuration,
    /// Whether each write lags by a length of its own up to `search_lag`, so that search sees
    /// writes out of order.
    pub search_lag_varies: bool,
    /// The lifecycle stage of a new contact or company that brings none.
    pub default_stage: Option<String>,
    /// Whether a stage that is set on a company is pushed to the contacts whose primary company it
    /// is. Forward only, as every automatic move.
    pub company_stage_to_contacts: bool,
    /// Whether a new deal moves its contacts and primary company to `opportunity`, and a won one
    /// to `customer`.
    pub deals_move_stage: bool,
    /// Whether a contact with a company's address makes a company of that domain, or joins it.
    pub companies_from_domains: bool,
    /// Whether a refused backward stage bumps the modified stamp. Not known of the real platform.
    pub refused_stage_bumps: bool,
    /// Whether new associations recompute the rollups of both ends visibly, bumping the modified
    /// stamp.
    pub rollups_bump: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            search_lag: SignedDuration::from_secs(10),
            search_lag_varies: false,
            default_stage: Some("lead".to_owned()),
            company_stage_to_contacts: false,
            deals_move_stage: false,
            companies_from_domains: false,
            refused_stage_bumps: false,
            rollups_bump: false,
        }
    }
}

/// All records of one kind, with what is defined for them.
#[derive(Debug)]
pub struct Table {
    /// The kind.
    pub object: Object,
    pub(super) definitions: BTreeMap<Arc<str>, Property>,
    pub(super) groups: BTreeMap<String, String>,
    pub(super) records: BTreeMap<u64, Arc<Record>>,
    /// The owner of each unique value among the live records; e-mail addresses count as unique.
    pub(super) unique: BTreeMap<Arc<str>, BTreeMap<String, u64>>,
    /// Ids that merges retired, with the survivor.
    pub(super) aliases: BTreeMap<u64, u64>,
    /// Addresses that must never come back.
    pub(super) blocked: BTreeSet<String>,
    pub(super) index: Index,
    pub(super) next_id: u64,
}

impl Table {
    fn fresh(object: Object) -> Self {
        let definitions: BTreeMap<Arc<str>, Property> = standard::properties(object)
            .into_iter()
            .map(|property| (Arc::clone(&property.name), property))
            .collect();
        let groups = definitions
            .values()
            .map(|property| (property.group.clone(), property.group.clone()))
            .collect();
        let mut table = Self {
            object,
            definitions,
            groups,
            records: BTreeMap::new(),
            unique: BTreeMap::new(),
            aliases: BTreeMap::new(),
            blocked: BTreeSet::new(),
            index: Index::default(),
            next_id: object.first_id(),
        };
        if object == Object::Contact {
            table.keep_unique(&"email".into());
        }
        table
    }

    pub(super) fn keep_unique(&mut self, name: &Arc<str>) {
        self.unique.entry(Arc::clone(name)).or_default();
        self.index.look_up_by(name);
    }

    /// A live property by name.
    #[must_use]
    pub fn property(&self, name: &str) -> Option<&Property> {
        self.definitions.get(name).filter(|property| property.archived.is_none())
    }

    /// Whether a property can stand in for the id.
    #[must_use]
    pub fn identifies(&self, name: &str) -> bool {
        self.unique.contains_key(name) && self.property(name).is_some()
    }

    /// The id that a retired one leads to, or the id itself.
    #[must_use]
    pub fn survivor(&self, id: u64) -> u64 {
        let mut id = id;
        while let Some(next) = self.aliases.get(&id) {
            id = *next;
        }
        id
    }

    /// A record that is not archived, also by a retired id.
    #[must_use]
    pub fn live(&self, id: u64) -> Option<&Arc<Record>> {
        self.records.get(&self.survivor(id)).filter(|record| record.archived.is_none())
    }

    /// The live record with a unique value.
    #[must_use]
    pub fn by_unique(&self, name: &str, value: &str) -> Option<&Arc<Record>> {
        let key = if name == "email" { value.to_lowercase() } else { value.to_owned() };
        let id = self.unique.get(name)?.get(&key)?;
        self.live(*id)
    }
}

/// One HubSpot account.
#[derive(Debug)]
pub struct Account {
    /// The account's number.
    pub portal: u64,
    /// The account's time zone, by its IANA name.
    pub time_zone: String,
    /// The account's currency.
    pub currency: String,
    /// What an admin can set.
    pub settings: Settings,
    /// Apps, tokens and codes.
    pub auth: Auth,
    /// Request limits and what is used of them.
    pub limiter: Limiter,
    /// What apps want to hear about, and what is on its way to them.
    pub webhooks: Webhooks,
    /// Sequences and who is enrolled in them. A fresh account has none.
    pub sequences: Sequences,
    pub(super) tables: [Table; Object::ALL.len()],
    pub(super) owners: Vec<Owner>,
    pub(super) pipelines: BTreeMap<Object, Vec<Pipeline>>,
    pub(super) associations: Associations,
}

impl Account {
    /// What a fresh account holds: the standard properties and pipelines, three owners, a private
    /// app with the token [`oauth::PRIVATE_TOKEN`](super::oauth::PRIVATE_TOKEN) and one OAuth
    /// client.
    #[must_use]
    pub fn fresh(now: Timestamp) -> Self {
        Self {
            portal: 44_237_313,
            time_zone: "US/Eastern".to_owned(),
            currency: "USD".to_owned(),
            settings: Settings::default(),
            auth: Auth::fresh(),
            limiter: Limiter::default(),
            webhooks: Webhooks::fresh(),
            sequences: Sequences::default(),
            tables: Object::ALL.map(Table::fresh),
            owners: super::owners::fresh(now),
            pipelines: pipelines::fresh(),
            associations: Associations::default(),
        }
    }

    /// The table of one kind.
    #[must_use]
    pub fn table(&self, object: Object) -> &Table {
        &self.tables[place(object)]
    }

    pub(super) fn table_mut(&mut self, object: Object) -> &mut Table {
        &mut self.tables[place(object)]
    }

    /// The values that an enumeration allows, or nothing where it does not limit them.
    #[must_use]
    pub fn allowed<'a>(&'a self, object: Object, property: &'a Property) -> Option<Vec<&'a str>> {
        match property.external {
            Some(External::Owners) => {
                Some(self.owners.iter().map(|owner| owner.id.as_str()).collect())
            }
            Some(External::Pipelines) => Some(
                self.pipelines_of(object).iter().map(|pipeline| pipeline.id.as_str()).collect(),
            ),
            Some(External::Stages) => Some(
                self.pipelines_of(object)
                    .iter()
                    .flat_map(|pipeline| &pipeline.stages)
                    .map(|stage| stage.id.as_str())
                    .collect(),
            ),
            Some(External::Settings) | None => (!property.choices.is_empty())
                .then(|| property.choices.iter().map(|choice| choice.value.as_str()).collect()),
        }
    }

    /// The pipelines of one kind, lifecycle pipelines included.
    #[must_use]
    pub fn pipelines_of(&self, object: Object) -> &[Pipeline] {
        self.pipelines.get(&object).map_or(&[], Vec::as_slice)
    }

    /// How late search sees a change of a record. The variation is a function of the record and
    /// its revision, so that it does not depend on what else is asked for.
    pub(super) fn lag(&self, id: u64, revision: u64) -> SignedDuration {
        let lag = self.settings.search_lag;
        if !self.settings.search_lag_varies {
            return lag;
        }
        let most = i64::try_from(lag.as_millis()).unwrap_or(i64::MAX).max(0);
        let share = fastrand::Rng::with_seed(id.rotate_left(17) ^ revision).i64(0..=most);
        SignedDuration::from_millis(share)
    }
}

fn place(object: Object) -> usize {
    Object::ALL.iter().position(|at| *at == object).unwrap_or_default()
}
