//! Notices to people's tools: written down with what they are about, delivered until they are taken.
//!
//! A notice says what happened and to which record, by id and page; nobody's name or address is in
//! it. It may arrive twice where an answer is lost, under the same id, and is given up after a day.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use jiff::{SignedDuration, Timestamp};
use ring::hmac;
use secrecy::ExposeSecret as _;
use serde::{Deserialize, Serialize};
use serde_json::{Value as Json, json};

use super::receiver::{Target, Targets};
use super::work::Job;
use crate::daemon::{Engine, Trouble};
use crate::handoff::{FactKind, State, What, Witness};
use crate::journal::Commit;
use crate::mapping::handoff::{HandoffSpec, NoticeShape, Occasion};
use crate::platform::Identity;
use crate::platform::transport::Http;
use crate::record::{PerSide, Side};

/// The journal's area of notices that wait.
const AREA: &str = "handoff.notices";

/// Notices that are read at a time.
const AT_ONCE: usize = 200;

/// After so long a notice is given up: nobody is helped by yesterday's alarm.
const LONGEST: SignedDuration = SignedDuration::from_hours(24);

/// How long a receiver may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// The longest that a receiver's wish to be left alone is heeded.
const LONGEST_REST: SignedDuration = SignedDuration::from_hours(1);

/// A notice that waits.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Notice {
    webhook: String,
    shape: Shape,
    mapping: String,
    handoff: String,
    what: String,
    state: State,
    reason: String,
    page: Option<String>,
    at: Timestamp,
    tries: u32,
    until: Option<Timestamp>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
enum Shape {
    Slack,
    Teams,
    Json,
}

impl From<NoticeShape> for Shape {
    fn from(shape: NoticeShape) -> Self {
        match shape {
            NoticeShape::Slack => Self::Slack,
            NoticeShape::Teams => Self::Teams,
            NoticeShape::Json => Self::Json,
        }
    }
}

/// Where notices go, by the webhook's name in the mapping.
#[derive(Clone)]
pub struct Notices {
    /// How they get there.
    pub http: Arc<dyn Http>,
    /// Each receiver.
    pub targets: Targets,
}

impl std::fmt::Debug for Notices {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Notices").field("targets", &self.targets).finish()
    }
}

fn name(notice: &Notice) -> String {
    format!(
        "{:020}-{}-{}-{}",
        notice.at.as_microsecond(),
        notice.webhook,
        notice.handoff,
        notice.what
    )
    .chars()
    .take(200)
    .collect()
}

/// A notice of an escalation, as a part of the commit that says that it was carried out.
pub(super) fn of_step(
    spec: &HandoffSpec,
    job: &Job,
    webhook: &str,
    what: &str,
    identities: &PerSide<Option<Identity>>,
    now: Timestamp,
) -> Commit {
    let mut commit = Commit::new();
    if let Some(notice) = notice(spec, job, webhook, what, page_of(job, identities), now) {
        commit.keep(AREA, name(&notice), &notice);
    }
    commit
}

fn notice(
    spec: &HandoffSpec,
    job: &Job,
    webhook: &str,
    what: &str,
    page: Option<String>,
    now: Timestamp,
) -> Option<Notice> {
    let webhook = spec.webhook(webhook)?;
    let handoff = job.handoff();
    Some(Notice {
        webhook: webhook.name.clone(),
        shape: webhook.shape.into(),
        mapping: job.mapping.name.clone(),
        handoff: handoff.id.to_string(),
        what: what.to_owned(),
        state: handoff.state(),
        reason: handoff.why_ended().unwrap_or(&handoff.reason).to_owned(),
        page,
        at: now,
        tries: 0,
        until: None,
    })
}

/// The address of the page of a handoff's record in Salesforce.
fn page_of(job: &Job, identities: &PerSide<Option<Identity>>) -> Option<String> {
    let record = job.link.as_ref()?.records.salesforce.as_ref()?;
    let pages = &identities.get(Side::Salesforce).as_ref()?.pages;
    Some(format!("{pages}/lightning/r/{}/{}/view", record.object, record.id))
}

impl Engine {
    /// Writes down what webhooks are to be told of.
    pub(super) async fn notices(
        &self,
        jobs: &mut [Job],
        identities: &PerSide<Option<Identity>>,
    ) -> Result<(), Trouble> {
        let now = self.clock.now();
        let mut commit = Commit::new();
        for job in jobs {
            let mapping = Arc::clone(&job.mapping);
            let Some(spec) = &mapping.handoff else { continue };
            for webhook in &spec.webhooks {
                for occasion in &webhook.on {
                    if !came(job, *occasion) || told(job, &webhook.name, *occasion) {
                        continue;
                    }
                    let what = occasion.key();
                    if let Some(notice) =
                        notice(spec, job, &webhook.name, what, page_of(job, identities), now)
                    {
                        commit.keep(AREA, name(&notice), &notice);
                    }
                    let (webhook, of) = (webhook.name.clone(), what.to_owned());
                    job.add(now, What::Told { webhook, of }, Witness::Lockstep);
                    let last = job.facts.last().cloned().into_iter().collect();
                    commit.handoff_work(super::work::result(
                        &job.entry,
                        last,
                        Some(now),
                        job.entry.tries,
                    ));
                }
            }
        }
        if !commit.is_empty() {
            self.journal.commit(commit).await?;
        }
        Ok(())
    }

    /// Delivers what waits; how many were taken. Each receiver is told in turn, all of them at the
    /// same time: one that is slow or gone keeps nobody else waiting.
    ///
    /// # Errors
    /// Where the journal cannot be used. A receiver that cannot be reached is tried again later.
    pub async fn deliver_notices(&self, notices: &Notices) -> Result<usize, Trouble> {
        let now = self.clock.now();
        let mut due: BTreeMap<String, Vec<(String, Notice)>> = BTreeMap::new();
        let mut after = None;
        loop {
            let page: Vec<(String, Notice)> = self.journal.kept_page(AREA, after, AT_ONCE).await?;
            let last = page.len() < AT_ONCE;
            after = page.last().map(|(name, _)| name.clone());
            for (name, notice) in page {
                if notice.until.is_none_or(|until| until <= now) {
                    due.entry(notice.webhook.clone()).or_default().push((name, notice));
                }
            }
            if last {
                break;
            }
        }
        let each = due.into_values().map(|waiting| self.deliver_to_one(notices, waiting));
        futures_util::future::try_join_all(each).await.map(|taken| taken.into_iter().sum())
    }

    /// Delivers one receiver's notices, up to the first that it does not take.
    async fn deliver_to_one(
        &self,
        notices: &Notices,
        waiting: Vec<(String, Notice)>,
    ) -> Result<usize, Trouble> {
        let mut taken = 0;
        for (name, mut notice) in waiting {
            let now = self.clock.now();
            let sent = match notices.targets.get(&notice.webhook) {
                Some(target) => send(notices, target, &name, &notice, now).await,
                None => Err(NotTaken::because("the notice_receivers do not name it")),
            };
            let mut commit = Commit::new();
            let goes_on = match sent {
                Ok(()) => {
                    taken += 1;
                    commit.drop_kept(AREA, &name);
                    true
                }
                Err(NotTaken { why, .. }) if now.duration_since(notice.at) > LONGEST => {
                    tracing::warn!(
                        webhook = notice.webhook,
                        why,
                        "a notice is given up after a day"
                    );
                    commit.drop_kept(AREA, &name);
                    true
                }
                Err(NotTaken { why, rest }) => {
                    // Once is enough for the log: the end is told as well.
                    if notice.tries == 0 {
                        tracing::warn!(webhook = notice.webhook, why, "a notice waits");
                    } else {
                        tracing::debug!(webhook = notice.webhook, why, "a notice waits on");
                    }
                    let wished = rest.and_then(|rest| now.checked_add(rest.min(LONGEST_REST)).ok());
                    notice.until = Some(self.later(now, notice.tries)).max(wished);
                    notice.tries = notice.tries.saturating_add(1);
                    commit.keep(AREA, &name, &notice);
                    false
                }
            };
            self.journal.commit(commit).await?;
            if !goes_on {
                break;
            }
        }
        Ok(taken)
    }
}

/// Why a receiver did not take a notice.
struct NotTaken {
    why: String,
    /// How long it wishes to be left alone.
    rest: Option<SignedDuration>,
}

impl NotTaken {
    fn because(why: impl Into<String>) -> Self {
        Self { why: why.into(), rest: None }
    }
}

/// Whether it came to this.
fn came(job: &Job, occasion: Occasion) -> bool {
    let facts = &job.handoff().facts;
    match occasion {
        Occasion::Sent => facts.has(FactKind::Sent) && !facts.has(FactKind::Excluded),
        Occasion::Accepted => facts.has(FactKind::Accepted) || facts.has(FactKind::Converted),
        Occasion::Returned => facts.has(FactKind::Returned),
        Occasion::Lapsed => facts.has(FactKind::Lapsed),
        Occasion::Won => facts.has(FactKind::Won),
    }
}

fn told(job: &Job, name: &str, occasion: Occasion) -> bool {
    job.handoff().facts.of(FactKind::Told).any(|fact| {
        matches!(&fact.what, What::Told { webhook, of } if webhook == name && of == occasion.key())
    })
}

/// The notice in its receiver's words.
fn body(notice: &Notice) -> Json {
    let page = notice.page.as_deref();
    let text = format!(
        "Handoff {} ({}): {}. {}",
        notice.handoff, notice.mapping, notice.what, notice.reason
    );
    match notice.shape {
        // "Sending messages using incoming webhooks", Slack API.
        Shape::Slack => {
            let link = page.map(|page| format!(" <{page}|Open in Salesforce>")).unwrap_or_default();
            json!({"text": format!("{}{link}", escaped(&text))})
        }
        // "Post a workflow when a webhook request is received", Microsoft Teams: one adaptive card.
        Shape::Teams => {
            let mut card = json!({
                "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
                "type": "AdaptiveCard",
                "version": "1.4",
                "body": [{"type": "TextBlock", "text": text, "wrap": true}],
            });
            if let Some(page) = page {
                card["actions"] =
                    json!([{"type": "Action.OpenUrl", "title": "Open in Salesforce", "url": page}]);
            }
            json!({
                "type": "message",
                "attachments": [{
                    "contentType": "application/vnd.microsoft.card.adaptive",
                    "content": card,
                }],
            })
        }
        Shape::Json => json!({
            "handoff": notice.handoff,
            "mapping": notice.mapping,
            "what": notice.what,
            "state": notice.state,
            "reason": notice.reason,
            "page": page,
            "at": notice.at,
        }),
    }
}

/// Text as Slack takes it ("Formatting text for app surfaces": three characters are escaped).
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

/// The signature of a body sent at a time: `t=<unix seconds>,v1=<hex of HMAC-SHA256 over "t.body">`.
pub(super) fn signature(secret: &str, at: Timestamp, body: &[u8]) -> String {
    use std::fmt::Write as _;
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
    let mut signed = format!("{}.", at.as_second()).into_bytes();
    signed.extend_from_slice(body);
    let tag = hmac::sign(&key, &signed);
    let hex = tag.as_ref().iter().fold(String::new(), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}");
        hex
    });
    format!("t={},v1={hex}", at.as_second())
}

async fn send(
    notices: &Notices,
    target: &Target,
    id: &str,
    notice: &Notice,
    now: Timestamp,
) -> Result<(), NotTaken> {
    let body = body(notice).to_string().into_bytes();
    let mut request = http::Request::post(target.url.expose_secret())
        .header(http::header::CONTENT_TYPE, "application/json")
        .header("lockstep-notice", id);
    if let Some(secret) = &target.secret {
        request =
            request.header("lockstep-signature", signature(secret.expose_secret(), now, &body));
    }
    // The address is not told: it may be a secret.
    let request = request
        .body(Bytes::from(body))
        .map_err(|_| NotTaken::because("it cannot be put into a request"))?;
    match tokio::time::timeout(PATIENCE, notices.http.call(request)).await {
        Ok(Ok(answer)) if answer.status().is_success() => Ok(()),
        Ok(Ok(answer)) => {
            // Slack and others say for how long they have had enough (RFC 9110, section 10.2.3).
            let rest = answer.headers().get(http::header::RETRY_AFTER);
            let rest = rest.and_then(|rest| rest.to_str().ok()?.trim().parse::<u32>().ok());
            Err(NotTaken {
                why: format!("it answered {}", answer.status()),
                rest: rest.map(|seconds| SignedDuration::from_secs(seconds.into())),
            })
        }
        Ok(Err(error)) => Err(NotTaken::because(error.what)),
        Err(_) => Err(NotTaken::because("it did not answer in time")),
    }
}
