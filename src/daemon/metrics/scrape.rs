//! What is read off whenever somebody asks.

use std::collections::BTreeMap;
use std::fmt;

use jiff::{SignedDuration, Timestamp};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::text::{encode_eof, encode_registry};
use prometheus_client::encoding::{DescriptorEncoder, EncodeGaugeValue, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Registry, Unit};

use super::{Labels, Metrics, PREFIX};
use crate::daemon::PushState;
use crate::daemon::query::HandoffCounts;
use crate::daemon::status::{HealthState, MappingStatus, Status};
use crate::handoff::State;
use crate::journal::{Lane, Statistics};
use crate::mapping::handoff::Goal;
use crate::platform::CallKind;
use crate::record::{PerSide, Side};

/// The content type of [`Scrape::text`].
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// The upper bounds of the buckets of the system's share, in seconds.
const SHARES: [f64; 10] = [1.0, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 900.0, 3_600.0, 86_400.0];

/// How things stand at one moment.
#[derive(Debug, Clone)]
pub struct Scrape {
    /// How the service is doing.
    pub status: Status,
    /// What the journal counts.
    pub statistics: Statistics,
    /// What is counted of handoffs, by mapping.
    pub handoffs: BTreeMap<String, HandoffCounts>,
    /// The calls to both sides, by kind.
    pub calls: PerSide<BTreeMap<CallKind, u64>>,
}

impl Scrape {
    /// Everything as OpenMetrics text: what was counted, and how things stand.
    ///
    /// # Errors
    /// None that a string could have: writing to one does not fail.
    pub fn text(self, metrics: &Metrics) -> Result<String, fmt::Error> {
        let mut text = String::new();
        encode_registry(&mut text, &metrics.registry)?;
        let mut registry = Registry::with_prefix(PREFIX);
        let version = Info::new(vec![("version", self.status.version.clone())]);
        registry.register("build", "The program", version);
        registry.register_collector(Box::new(self));
        encode_registry(&mut text, &registry)?;
        encode_eof(&mut text)?;
        Ok(text)
    }
}

impl Collector for Scrape {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let mut families = Families(encoder);
        self.service(&mut families)?;
        self.sides(&mut families)?;
        self.objects(&mut families)?;
        self.webhooks(&mut families)?;
        self.mappings(&mut families)?;
        self.handoffs(&mut families)?;
        self.journal(&mut families)
    }
}

/// Writes families one after the other.
struct Families<'a>(DescriptorEncoder<'a>);

type Samples<V> = Vec<(Labels, V)>;

impl Families<'_> {
    fn gauge<V: EncodeGaugeValue + Copy>(
        &mut self,
        name: &str,
        unit: Option<&Unit>,
        help: &str,
        samples: Samples<V>,
    ) -> Result<(), fmt::Error> {
        let mut family = self.0.encode_descriptor(name, help, unit, MetricType::Gauge)?;
        for (labels, value) in samples {
            // `name{}` is legal, and looks like a mistake.
            if labels.is_empty() {
                family.encode_gauge(&value)?;
            } else {
                family.encode_family(&labels)?.encode_gauge(&value)?;
            }
        }
        Ok(())
    }

    /// Times, counted by the buckets that they fall into.
    fn histogram<'t>(
        &mut self,
        name: &str,
        help: &str,
        samples: impl Iterator<Item = (Labels, &'t [SignedDuration])>,
    ) -> Result<(), fmt::Error> {
        let seconds = Some(&Unit::Seconds);
        let mut family = self.0.encode_descriptor(name, help, seconds, MetricType::Histogram)?;
        for (labels, times) in samples {
            let mut buckets: Vec<(f64, u64)> =
                SHARES.into_iter().chain([f64::INFINITY]).map(|bound| (bound, 0)).collect();
            let mut sum = 0.0;
            for time in times.iter().map(SignedDuration::as_secs_f64) {
                sum += time;
                if let Some((_, count)) = buckets.iter_mut().find(|(bound, _)| time <= *bound) {
                    *count += 1;
                }
            }
            family.encode_family(&labels)?.encode_histogram::<NoLabelSet>(
                sum,
                times.len() as u64,
                &buckets,
                None,
            )?;
        }
        Ok(())
    }

    fn counter(&mut self, name: &str, help: &str, samples: Samples<u64>) -> Result<(), fmt::Error> {
        let mut family = self.0.encode_descriptor(name, help, None, MetricType::Counter)?;
        for (labels, value) in samples {
            if labels.is_empty() {
                family.encode_counter::<NoLabelSet, _, u64>(&value, None)?;
            } else {
                family
                    .encode_family(&labels)?
                    .encode_counter::<NoLabelSet, _, u64>(&value, None)?;
            }
        }
        Ok(())
    }
}

fn of_side(side: Side) -> Labels {
    vec![("side", side.key().to_owned())]
}

#[expect(clippy::cast_precision_loss, reason = "seconds and their millionths stay far below 2^52")]
fn seconds(at: Timestamp) -> f64 {
    at.as_microsecond() as f64 / 1e6
}

impl Scrape {
    fn service(&self, families: &mut Families<'_>) -> Result<(), fmt::Error> {
        let status = &self.status;
        families.gauge(
            "start_time",
            Some(&Unit::Seconds),
            "When the process started, in seconds since 1970.",
            vec![(Labels::new(), seconds(status.started))],
        )?;
        let states = [HealthState::Ok, HealthState::Degraded, HealthState::Down];
        families.gauge(
            "health",
            None,
            "1 for the state that the service is in.",
            states
                .map(|state| {
                    let labels = vec![("state", state.word().to_owned())];
                    (labels, i64::from(state == status.health.state))
                })
                .into(),
        )?;
        let mut problems: BTreeMap<&str, i64> = BTreeMap::from([("degraded", 0), ("down", 0)]);
        for problem in &status.health.problems {
            *problems.entry(problem.state.word()).or_default() += 1;
        }
        families.gauge(
            "problems",
            None,
            "Problems that status tells, by how bad they are.",
            problems
                .into_iter()
                .map(|(state, count)| (vec![("state", state.to_owned())], count))
                .collect(),
        )?;
        families.gauge(
            "holds_open",
            None,
            "Holds that wait for a person to release them.",
            vec![(Labels::new(), status.holds as u64)],
        )?;
        families.gauge(
            "settling",
            None,
            "Entries that are being settled now.",
            vec![(Labels::new(), status.settling as u64)],
        )
    }

    fn sides(&self, families: &mut Families<'_>) -> Result<(), fmt::Error> {
        let of = |value: fn(&crate::daemon::status::SideStatus) -> Option<u64>| {
            let samples = self.status.sides.iter();
            samples.filter_map(|(side, one)| Some((of_side(side), value(one)?))).collect()
        };
        families.gauge(
            "side_up",
            None,
            "1 where the side has let us in and its last call did not fail as a whole.",
            of(|one| Some(u64::from(one.account.is_some() && one.trouble.is_none()))),
        )?;
        families.gauge(
            "side_paused",
            None,
            "1 while nothing is asked of the side: a daily limit is used up, or we are not let in.",
            self.status
                .sides
                .iter()
                .map(|(side, one)| {
                    let paused = one.paused_until.is_some_and(|until| until > self.status.now);
                    (of_side(side), i64::from(paused))
                })
                .collect(),
        )?;
        families.gauge(
            "last_change_timestamp",
            Some(&Unit::Seconds),
            "The side's own stamp of the latest change that was seen, in seconds since 1970.",
            self.status
                .sides
                .iter()
                .filter_map(|(side, one)| Some((of_side(side), seconds(one.last_change?))))
                .collect(),
        )?;
        let calls = self.calls.iter().flat_map(|(side, kinds)| {
            kinds.iter().map(move |(kind, count)| {
                let mut labels = of_side(side);
                labels.push(("method", kind.method.clone()));
                labels.push(("route", kind.route.clone()));
                labels.push(("answer", kind.answer.clone()));
                (labels, *count)
            })
        });
        families.counter(
            "calls",
            "Calls to the platforms, repeats included, by route and by the answer's status.",
            calls.collect(),
        )?;
        families.gauge(
            "day_calls_limit",
            None,
            "Calls that the account may make in a day, where the platform says.",
            of(|one| one.calls.limit),
        )?;
        families.gauge(
            "day_calls_left",
            None,
            "Calls that the account may still make today, where the platform says.",
            of(|one| Some(one.calls.limit?.saturating_sub(one.calls.used?))),
        )
    }

    fn objects(&self, families: &mut Families<'_>) -> Result<(), fmt::Error> {
        let objects = || {
            self.status.sides.iter().flat_map(|(side, one)| {
                one.objects.iter().map(move |(object, news)| {
                    let mut labels = of_side(side);
                    labels.push(("object", object.clone()));
                    (labels, news)
                })
            })
        };
        families.gauge(
            "last_round_timestamp",
            Some(&Unit::Seconds),
            "When the object was last asked for its changes to the end, in seconds since 1970.",
            objects()
                .filter_map(|(labels, news)| Some((labels, seconds(news.last_round?))))
                .collect(),
        )?;
        families.gauge(
            "last_news_timestamp",
            Some(&Unit::Seconds),
            "When any way last brought word of a change, in seconds since 1970.",
            objects()
                .filter_map(|(labels, news)| Some((labels, seconds(news.last_news()?))))
                .collect(),
        )?;
        let pushed = || objects().filter_map(|(labels, news)| Some((labels, news.push.as_ref()?)));
        families.gauge(
            "push_up",
            None,
            "1 while word of the object's changes arrives by itself and is relied upon.",
            pushed()
                .map(|(labels, push)| {
                    let doubted = push.doubted_until.is_some_and(|until| until > self.status.now);
                    (labels, i64::from(push.state == PushState::Healthy && !doubted))
                })
                .collect(),
        )?;
        families.counter(
            "changes_pushed",
            "Changes whose word arrived by itself.",
            pushed().map(|(labels, push)| (labels, push.arrived)).collect(),
        )?;
        families.counter(
            "changes_missed",
            "Changes that polls found and whose word should have arrived by itself.",
            pushed().map(|(labels, push)| (labels, push.missed)).collect(),
        )
    }

    /// Nothing where webhooks are not listened for.
    fn webhooks(&self, families: &mut Families<'_>) -> Result<(), fmt::Error> {
        let Some(webhooks) = &self.status.webhooks else { return Ok(()) };
        let one = |count| vec![(Labels::new(), count)];
        families.counter(
            "webhook_deliveries",
            "Deliveries of webhooks that were verified and written down.",
            one(webhooks.deliveries),
        )?;
        families.counter("webhook_events", "Events in them.", one(webhooks.events))?;
        families.counter(
            "webhook_echoes",
            "Events that were the echo of our own writes.",
            one(webhooks.echoes),
        )?;
        families.counter(
            "webhook_requests_refused",
            "Requests to the webhooks' address that were turned away, by why.",
            webhooks
                .turned_away
                .iter()
                .map(|(why, count)| (vec![("reason", why.word().to_owned())], *count))
                .collect(),
        )
    }

    fn mappings(&self, families: &mut Families<'_>) -> Result<(), fmt::Error> {
        let mut of = |name: &str, help: &str, value: fn(&MappingStatus) -> u64| {
            let one = |one: &MappingStatus| (vec![("mapping", one.mapping.clone())], value(one));
            families.gauge(name, None, help, self.status.mappings.iter().map(one).collect())
        };
        of("links", "Live links.", |one| one.links)?;
        of("conflicts_open", "Fields that wait for a person to decide.", |one| one.conflicts)?;
        of("matches_open", "Records that may belong to several, for a person to decide.", |one| {
            one.matches
        })?;
        of("rejects_open", "Writes that a platform refused for good.", |one| one.rejects)?;
        let lanes = || {
            self.status.mappings.iter().flat_map(|one| {
                Lane::ALL.into_iter().map(move |lane| {
                    let labels =
                        vec![("mapping", one.mapping.clone()), ("lane", lane.key().to_owned())];
                    (one, lane, labels)
                })
            })
        };
        families.gauge(
            "changes_pending",
            None,
            "Entries in line to be settled, by lane.",
            lanes()
                .map(|(one, lane, labels)| {
                    (labels, one.pending.get(lane.key()).copied().unwrap_or_default())
                })
                .collect(),
        )?;
        families.gauge(
            "oldest_pending",
            Some(&Unit::Seconds),
            "How long ago the entry fell due that has been due longest; 0 where none is due.",
            lanes()
                .map(|(one, lane, labels)| {
                    let due = self.statistics.oldest.get(&(one.mapping.clone(), lane));
                    let late = due.map(|due| self.status.now.duration_since(*due).as_secs_f64());
                    (labels, late.unwrap_or_default().max(0.0))
                })
                .collect(),
        )
    }

    /// Nothing where no mapping hands anything off.
    fn handoffs(&self, families: &mut Families<'_>) -> Result<(), fmt::Error> {
        if self.handoffs.is_empty() {
            return Ok(());
        }
        let of = |mapping: &str, name: &'static str, word: &str| -> Labels {
            vec![("mapping", mapping.to_owned()), (name, word.to_owned())]
        };
        families.gauge(
            "handoffs",
            None,
            "Handoffs, by the state in which they stand.",
            self.handoffs
                .iter()
                .flat_map(|(mapping, counts)| {
                    State::ALL.into_iter().map(move |state| {
                        let count = counts.states.get(&state).copied().unwrap_or_default();
                        (of(mapping, "state", state.key()), count)
                    })
                })
                .collect(),
        )?;
        families.gauge(
            "handoff_breaches",
            None,
            "Handoffs that missed a service level, whether it was made good later or not.",
            self.handoffs
                .iter()
                .flat_map(|(mapping, counts)| {
                    [(Goal::Touch, "touch"), (Goal::Accept, "accept")].into_iter().map(
                        move |(goal, word)| {
                            let count = counts.breaches.get(&goal).copied().unwrap_or_default();
                            (of(mapping, "goal", word), count)
                        },
                    )
                })
                .collect(),
        )?;
        families.histogram(
            "handoff_system_share",
            "From qualified to created in Salesforce: what the system takes of a lead's time.",
            self.handoffs
                .iter()
                .map(|(mapping, counts)| (vec![("mapping", mapping.clone())], &*counts.system)),
        )
    }

    fn journal(&self, families: &mut Families<'_>) -> Result<(), fmt::Error> {
        families.counter(
            "journal_commits",
            "Batches that were written to the journal.",
            vec![(Labels::new(), self.statistics.commits)],
        )?;
        families.counter(
            "journal_flushes",
            "How often the journal was made durable; one flush serves many batches.",
            vec![(Labels::new(), self.statistics.flushes)],
        )?;
        families.gauge(
            "journal_size",
            Some(&Unit::Bytes),
            "What the journal takes up on disk.",
            vec![(Labels::new(), self.status.journal_bytes)],
        )
    }
}
