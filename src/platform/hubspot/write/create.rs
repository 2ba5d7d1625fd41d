//! Creating activities: tasks and notes, each with what it is about.
//!
//! No unique property identifies one, so that nothing here is repeated: whoever asks for it looks for
//! it among the activities of its record first, which a read shows at once.

use std::collections::BTreeMap;

use futures_util::future::join_all;
use http::Method;

use super::batch::{failed, silent};
use super::text;
use crate::platform::hubspot::codes::{Ruling, rule};
use crate::platform::hubspot::paths::{activity_type, is_activity};
use crate::platform::hubspot::read::ASSOCIATIONS;
use crate::platform::hubspot::wire::{
    CreateJson, EdgeJson, ErrorJson, IdInput, LabelJson, ObjectJson,
};
use crate::platform::hubspot::{HubSpot, broken};
use crate::platform::transport::{Call, Repeat};
use crate::platform::{Action, ErrorKind, Outcome, Refusal, RefusalKind, Write};

/// Whether a write creates an activity.
pub(super) fn creates_activity(write: &Write) -> bool {
    write.action == Action::Create && is_activity(&write.object)
}

impl HubSpot {
    pub(super) async fn create_activities(
        &self,
        writes: &[Write],
        outcomes: &mut [Option<Outcome>],
    ) {
        let jobs = writes.iter().enumerate().filter(|(_, write)| creates_activity(write));
        let jobs = jobs.map(|(place, write)| async move { (place, self.create_one(write).await) });
        for (place, outcome) in join_all(jobs).await {
            outcomes[place] = Some(outcome);
        }
    }

    async fn create_one(&self, write: &Write) -> Outcome {
        let object = &write.object;
        let doing = format!("creating one of {object}");
        let mut properties = BTreeMap::new();
        let mut associations = Vec::new();
        for (name, value) in &write.fields {
            let Some(about) = name.strip_prefix(ASSOCIATIONS) else {
                properties.insert(name.clone(), text(value));
                continue;
            };
            let Some(kind) = activity_type(object, about) else {
                return Outcome::Refused(unrelated(object, name, about));
            };
            let id = value.as_text().unwrap_or_default();
            let label =
                LabelJson { association_category: "HUBSPOT_DEFINED", association_type_id: kind };
            associations.push(EdgeJson { to: IdInput { id }, types: [label] });
        }
        let body = CreateJson { properties: &properties, associations };
        let path = self.paths.objects(object, "");
        let call =
            Call::send(&self.core, Method::POST, path.route, path.path, &body, doing.as_str());
        let call = match call {
            Ok(call) => Call { within: Some(self.write_within), ..call.repeat(Repeat::Never) },
            Err(error) => {
                return Outcome::NotDone(broken(&doing, ErrorKind::Request, error.to_string()));
            }
        };
        let answer = match self.client.call(&call).await {
            Ok(answer) => answer,
            Err(failure) => return failed(&failure),
        };
        if !answer.status.is_success() {
            let error = ErrorJson::read(&answer.body);
            return match rule(&error, answer.status.as_u16(), &doing) {
                Ruling::Refused(refusal) => Outcome::Refused(refusal),
                Ruling::Later(error) => Outcome::NotDone(error),
            };
        }
        match answer.json::<ObjectJson>().ok().and_then(|json| json.id.clone().into_option()) {
            Some(id) => Outcome::Done { id, created: true, echoed: BTreeMap::new() },
            // It may well be there: the answer only does not say under which id.
            None => Outcome::Unknown(silent(object)),
        }
    }
}

fn unrelated(object: &str, field: &str, about: &str) -> Refusal {
    Refusal {
        kind: RefusalKind::Schema,
        code: "NO_ASSOCIATION".into(),
        message: format!("{object} are not about {about} in HubSpot, as far as is known here"),
        fields: vec![field.to_owned()],
        hint: "a task or note is about a contact, a company or a deal".into(),
    }
}
