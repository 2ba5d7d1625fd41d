//! Enrolling contacts in sequences. (developers.hubspot.com, "Sequences API".)
//!
//! A sequence writes e-mails in a salesperson's name, so that none is enrolled twice: one call, and where
//! its answer is lost, HubSpot is asked what the contact is enrolled in.

use std::collections::BTreeMap;

use http::{Method, StatusCode};
use jiff::{SignedDuration, Timestamp};

use super::codes::{Ruling, rule};
use super::wire::{EnrolJson, EnrolmentJson, ErrorJson, SequenceJson, moment};
use super::{HubSpot, broken, parse};
use crate::platform::transport::{Call, Effect, Failure, Repeat};
use crate::platform::{
    Ask, Error, ErrorKind, Outcome, Refusal, RefusalKind, Start, StartInput, Startable, Started,
};
use crate::record::Raw;

/// What a sequence takes.
const CONTACT: &str = "contactId";
const SENDER: &str = "senderEmail";
const USER: &str = "userId";

/// What a contact says of its sequences. (knowledge.hubspot.com, "HubSpot's default contact
/// properties".)
const IS_ENROLLED: &str = "hs_sequences_is_enrolled";
const LATEST: &str = "hs_latest_sequence_enrolled";
const LATEST_AT: &str = "hs_latest_sequence_enrolled_date";

/// By how much HubSpot's clock and ours may differ.
const CLOCKS: SignedDuration = SignedDuration::from_mins(1);

/// What a person does about a refusal that says no more.
const REFUSED: &str = "see on the contact's page in HubSpot why it cannot be enrolled (another \
                       sequence, unsubscribed, no address, the sender's inbox or daily limit), and \
                       enrol it by hand";

/// What a sequence needs besides the scopes.
const NEEDS: &str = "give the app the scopes automation.sequences.read and \
                     automation.sequences.enrollments.write, and the sender a seat of Sales or \
                     Service Hub Professional with a connected inbox";

/// What a contact is enrolled in, as far as HubSpot tells.
#[derive(Debug, Default)]
struct Enrolled {
    sequence: String,
    at: Option<Timestamp>,
    id: String,
}

fn input<'a>(start: &'a Start, name: &str) -> &'a str {
    start.inputs.get(name).and_then(Raw::as_text).unwrap_or_default()
}

impl HubSpot {
    pub(super) async fn enrol(&self, start: &Start) -> Outcome {
        let doing = format!("enrolling a contact in the sequence {}", start.name);
        for name in [CONTACT, SENDER, USER] {
            if input(start, name).is_empty() {
                let message = format!("a sequence is not begun without {name}");
                return Outcome::NotDone(broken(&doing, ErrorKind::Request, message));
            }
        }
        let path = self.paths.enrolments().query(&[(USER, input(start, USER))]);
        let body = EnrolJson {
            sequence_id: &start.name,
            contact_id: input(start, CONTACT),
            sender_email: input(start, SENDER),
        };
        let call =
            Call::send(&self.core, Method::POST, path.route, path.path, &body, doing.as_str());
        let call = match call {
            Ok(call) => call.repeat(Repeat::Never).within(self.write_within),
            Err(error) => {
                return Outcome::NotDone(broken(&doing, ErrorKind::Request, error.to_string()));
            }
        };
        let answer = match self.client.call(&call).await {
            Ok(answer) => answer,
            Err(Failure { error, effect }) => {
                return match effect {
                    Effect::None => not_begun(error),
                    Effect::Late { left } => Outcome::Late { left },
                    Effect::Unclear => Outcome::Unknown(error),
                };
            }
        };
        if !answer.status.is_success() {
            let error = ErrorJson::read(&answer.body);
            return match rule(&error, answer.status.as_u16(), &doing) {
                Ruling::Refused(refusal) => self.refused(start, refusal, &error).await,
                Ruling::Later(error) => Outcome::NotDone(error),
            };
        }
        match answer.json::<EnrolmentJson>().ok().and_then(|json| json.id.into_option()) {
            Some(id) => Outcome::Done { id, created: true, echoed: BTreeMap::new() },
            // It may well be enrolled: the answer only does not say so.
            None => {
                let message = "the answer names no enrolment".to_owned();
                Outcome::Unknown(broken(&doing, ErrorKind::Retry { after: None }, message))
            }
        }
    }

    /// Who is in this very sequence already stays in it. By which code the API says so is not
    /// documented; the contact says it in any language.
    async fn refused(&self, start: &Start, mut refusal: Refusal, error: &ErrorJson) -> Outcome {
        // The detail says more than the category that it comes with.
        let codes: Vec<String> = error
            .details()
            .iter()
            .map(|it| it.code.0.clone())
            .filter(|it| !it.is_empty())
            .collect();
        if let Some(code) = codes.into_iter().next() {
            refusal.code = code;
        }
        let told = refusal.code.contains("ALREADY_ENROLLED");
        let contact = input(start, CONTACT);
        match self.enrolment(contact).await {
            Ok(Some(found)) if found.sequence == start.name => {
                let is_enrolled = match told {
                    true => Ok(true),
                    false => self.sequences_of(contact).await.map(|of| of.is_enrolled),
                };
                match is_enrolled {
                    Ok(true) => {
                        let echoed = BTreeMap::new();
                        return Outcome::Done { id: found.id, created: false, echoed };
                    }
                    Ok(false) => {}
                    Err(error) => return Outcome::Unknown(error),
                }
            }
            Ok(_) => {}
            // Whether it is in this sequence is to be looked up later; this call did nothing.
            Err(error) if matches!(error.kind, ErrorKind::Retry { .. }) => {
                return Outcome::Unknown(error);
            }
            Err(_) => {}
        }
        if refusal.kind == RefusalKind::Permission {
            refusal.hint = NEEDS.to_owned();
        } else if !matches!(refusal.kind, RefusalKind::Gone) || refusal.hint.is_empty() {
            refusal.hint = REFUSED.to_owned();
        } else {
            refusal.hint = format!("correct `id` in [handoff.sequence], or {REFUSED}");
        }
        Outcome::Refused(refusal)
    }

    pub(super) async fn is_enrolled(
        &self,
        start: &Start,
        since: Timestamp,
    ) -> Result<Started, Error> {
        let contact = input(start, CONTACT);
        let own = |found: &Enrolled| {
            let late = found.at.and_then(|at| at.checked_add(CLOCKS).ok());
            found.sequence == start.name && late.is_some_and(|at| at >= since)
        };
        if let Some(found) = self.enrolment(contact).await?.filter(own) {
            return Ok(Started::Yes { id: found.id, at: found.at });
        }
        // One that has ended since (a reply, a meeting) may no longer be told of as an enrolment.
        let of = self.sequences_of(contact).await?;
        Ok(if own(&of.latest) {
            Started::Yes { id: of.latest.id, at: of.latest.at }
        } else {
            Started::No
        })
    }

    /// What HubSpot says that a contact is enrolled in. What it answers of one that is in none is not
    /// documented: nothing, an empty answer and an answer without a sequence mean the same.
    async fn enrolment(&self, contact: &str) -> Result<Option<Enrolled>, Error> {
        const DOING: &str = "asking what a contact is enrolled in";
        let path = self.paths.enrolment_of(contact);
        let call = Call::get(&self.core, path.route, path.path, DOING).not_json();
        let answer = self.client.call(&call).await?;
        if answer.status == StatusCode::NOT_FOUND || answer.body.trim_ascii().is_empty() {
            return Ok(None);
        }
        let json: EnrolmentJson = parse(&answer, DOING)?;
        let sequence = json.sequence_id.0;
        let at = moment(&json.enrolled_at.0);
        Ok((!sequence.is_empty()).then_some(Enrolled { sequence, at, id: json.id.0 }))
    }

    async fn sequences_of(&self, contact: &str) -> Result<OfContact, Error> {
        let ask = Ask {
            object: "contacts".to_owned(),
            fields: [IS_ENROLLED, LATEST, LATEST_AT].map(str::to_owned).into(),
            stamps: Default::default(),
        };
        let read = self.read_all(&ask, &[contact.to_owned()]).await?;
        let Some(record) = read.into_iter().flatten().next() else {
            return Ok(OfContact::default());
        };
        let text = |name: &str| record.get(name).as_text().unwrap_or_default().to_owned();
        let is_enrolled = match record.get(IS_ENROLLED) {
            Raw::Bool(yes) => *yes,
            other => other.as_text() == Some("true"),
        };
        let sequence = match record.get(LATEST) {
            Raw::Number(number) => format!("{number:.0}"),
            other => other.as_text().unwrap_or_default().to_owned(),
        };
        let at = moment(&text(LATEST_AT));
        let id = sequence.clone();
        Ok(OfContact { is_enrolled, latest: Enrolled { sequence, at, id } })
    }

    /// A sequence, as a user sees it.
    pub(super) async fn sequence(&self, start: &Start) -> Result<Option<Startable>, Error> {
        const DOING: &str = "asking for a sequence";
        let path = self.paths.sequence(&start.name).query(&[(USER, input(start, USER))]);
        let call = Call::get(&self.core, path.route, path.path, DOING);
        let answer = self.client.call(&call).await?;
        if answer.status == StatusCode::NOT_FOUND {
            return Ok(None);
        }
        let json: SequenceJson = parse(&answer, DOING)?;
        let inputs = [CONTACT, SENDER, USER].map(|name| StartInput {
            name: name.to_owned(),
            kind: "STRING".to_owned(),
            required: true,
            many: false,
        });
        Ok((!json.id.0.is_empty()).then(|| Startable { name: json.id.0, inputs: inputs.into() }))
    }
}

/// What a contact says of its sequences.
#[derive(Debug, Default)]
struct OfContact {
    is_enrolled: bool,
    latest: Enrolled,
}

/// A call that did nothing: where the app may not do it, that is a refusal, and not a matter of time.
fn not_begun(error: Error) -> Outcome {
    if error.kind != ErrorKind::Stop || error.code.as_deref() != Some("MISSING_SCOPES") {
        return Outcome::NotDone(error);
    }
    Outcome::Refused(Refusal {
        kind: RefusalKind::Permission,
        code: "MISSING_SCOPES".to_owned(),
        message: error.message,
        fields: Vec::new(),
        hint: NEEDS.to_owned(),
    })
}

#[cfg(test)]
mod tests;
