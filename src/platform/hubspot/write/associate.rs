//! Writing the association pseudo-fields: the primary record of another type.

use futures_util::future::join_all;
use http::Method;

use super::batch::failed;
use super::{half_done, text};
use crate::platform::hubspot::codes::{Ruling, rule};
use crate::platform::hubspot::paths::primary_type;
use crate::platform::hubspot::read::ASSOCIATIONS;
use crate::platform::hubspot::wire::{BatchJson, ErrorJson, LabelJson};
use crate::platform::hubspot::{HubSpot, broken};
use crate::platform::transport::{Call, Repeat};
use crate::platform::{Action, ErrorKind, Outcome, RefusalKind, Write};
use crate::record::Raw;

impl HubSpot {
    /// Writes the association pseudo-fields of records whose other fields went well.
    pub(super) async fn write_associations(
        &self,
        writes: &[Write],
        outcomes: &mut [Option<Outcome>],
    ) {
        let jobs = writes.iter().enumerate().filter_map(|(place, write)| {
            let Some(Outcome::Done { id, .. }) = &outcomes[place] else { return None };
            let fields: Vec<(&str, &Raw)> = write
                .fields
                .iter()
                .filter_map(|(name, value)| Some((name.strip_prefix(ASSOCIATIONS)?, value)))
                .collect();
            // An archived record has none, and a new activity was created with its own.
            let is_done = matches!(write.action, Action::Delete { .. } | Action::Create);
            (!fields.is_empty() && !is_done)
                .then(|| (place, write.object.as_str(), id.clone(), fields))
        });
        let jobs = jobs.map(|(place, object, id, fields)| async move {
            for (to, value) in &fields {
                if let Err(outcome) = self.associate_one(object, &id, to, value).await {
                    return (place, Some(*outcome));
                }
            }
            (place, None)
        });
        for (place, failed) in join_all(jobs).await {
            match (failed, &mut outcomes[place]) {
                (Some(failed), outcome) => *outcome = Some(half_done(failed)),
                (None, Some(Outcome::Done { echoed, .. })) => {
                    let fields = writes[place].fields.iter();
                    let own = fields.filter(|(name, _)| name.starts_with(ASSOCIATIONS));
                    echoed.extend(own.map(|(name, value)| (name.clone(), value.clone())));
                }
                (None, _) => {}
            }
        }
    }

    /// Makes `value` the primary record of type `to`: the default association first, which suffices
    /// where there was none before, then the primary label.
    async fn associate_one(
        &self,
        object: &str,
        id: &str,
        to: &str,
        value: &Raw,
    ) -> Result<(), Box<Outcome>> {
        let now = self.associated(object, to, &[id.to_owned()]).await;
        let now = now.map_err(|error| Box::new(Outcome::NotDone(error)))?.remove(id);
        let wanted = text(value);
        if now.as_deref().unwrap_or_default() == wanted {
            return Ok(());
        }
        let doing = format!("associating one of {object} with one of {to}");
        if wanted.is_empty() {
            let old = now.unwrap_or_default();
            let path = self.paths.association(false, (object, id), (to, &old));
            let mut call =
                Call::get(&self.associations, path.route, path.path, doing.as_str()).not_json();
            call.method = Method::DELETE;
            return self.association_call(&call, to).await;
        }
        let path = self.paths.association(true, (object, id), (to, &wanted));
        let mut call =
            Call::get(&self.associations, path.route, path.path, doing.as_str()).not_json();
        call.method = Method::PUT;
        self.association_call(&call, to).await?;
        let (Some(primary), Some(_)) = (primary_type(object, to), now) else { return Ok(()) };
        let path = self.paths.association(false, (object, id), (to, &wanted));
        let label =
            [LabelJson { association_category: "HUBSPOT_DEFINED", association_type_id: primary }];
        let call = Call::send(
            &self.associations,
            Method::PUT,
            path.route,
            path.path,
            &label,
            doing.as_str(),
        );
        let call = call.map_err(|error| {
            let error = broken(&doing, ErrorKind::Request, error.to_string());
            Box::new(Outcome::NotDone(error))
        })?;
        self.association_call(&call.repeat(Repeat::Safe).not_json(), to).await
    }

    async fn association_call(&self, call: &Call, to: &str) -> Result<(), Box<Outcome>> {
        let answer = self.client.call(call).await.map_err(|failure| Box::new(failed(&failure)))?;
        let status = answer.status.as_u16();
        // These calls answer 200 with `errors` as well.
        let batch: BatchJson = answer.json().unwrap_or_default();
        let error = match batch.errors.into_iter().next() {
            Some(error) => error,
            None if answer.status.is_success() => return Ok(()),
            None => ErrorJson::read(&answer.body),
        };
        Err(Box::new(match rule(&error, status, &call.doing) {
            Ruling::Later(error) => Outcome::NotDone(error),
            Ruling::Refused(mut refusal) => {
                refusal.fields = vec![format!("{ASSOCIATIONS}{to}")];
                // What is not found may be the other record: this one was there a moment ago.
                if refusal.kind == RefusalKind::Gone {
                    refusal.kind = RefusalKind::Value;
                    "the record to associate with is gone".clone_into(&mut refusal.hint);
                }
                Outcome::Refused(refusal)
            }
        }))
    }
}
