//! What the org looks like: its objects, its owners, its counts.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError};

use http::header::{HeaderValue, IF_MODIFIED_SINCE};

use super::query::Scope;
use super::soql::{self, Select};
use super::wire::{self, Row};
use super::{Error, Salesforce, first_error, not_a_name, request_error};
use crate::platform::{ObjectSchema, Owner};
use crate::record::Raw;

/// A description, and what to say to be told whether it still holds.
pub(super) struct Remembered {
    schema: Arc<ObjectSchema>,
    last_modified: Option<HeaderValue>,
    /// A refusal cast doubt on it: it is asked for again, on condition that it changed.
    doubted: bool,
}

impl Salesforce {
    fn schemas(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, Remembered>> {
        self.schemas.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn forget(&self, object: &str) {
        if let Some(remembered) = self.schemas().get_mut(&object.to_ascii_lowercase()) {
            remembered.doubted = true;
        }
    }

    pub(super) async fn describe(&self, object: &str) -> Result<Arc<ObjectSchema>, Error> {
        let doing = format!("describing {object}");
        soql::name(object).map_err(|why| not_a_name(&doing, &why))?;
        let key = object.to_ascii_lowercase();
        let known = self
            .schemas()
            .get(&key)
            .map(|known| (Arc::clone(&known.schema), known.last_modified.clone(), known.doubted));
        if let Some((schema, _, false)) = known {
            return Ok(schema);
        }
        let route = "/services/data/{version}/sobjects/{object}/describe";
        let mut call = self.get(route, self.path(&format!("/sobjects/{object}/describe")), &doing);
        if let Some((_, Some(since), _)) = &known {
            call = call.header(IF_MODIFIED_SINCE, since.clone());
        }
        let answer = self.send(call).await?;
        let schema = match (answer.status.as_u16(), known) {
            (304, Some((schema, ..))) => schema,
            (200, _) => {
                let schema = wire::describe(&answer.body).map_err(|why| {
                    request_error(&doing, format!("the description cannot be read: {why}"))
                })?;
                Arc::new(schema)
            }
            _ => return Err(self.dialect.error(&doing, &answer, &first_error(&answer))),
        };
        let last_modified = answer.headers.get(http::header::LAST_MODIFIED).cloned();
        let mut schemas = self.schemas();
        let last_modified =
            last_modified.or_else(|| schemas.get(&key).and_then(|old| old.last_modified.clone()));
        let remembered = Remembered { schema: Arc::clone(&schema), last_modified, doubted: false };
        schemas.insert(key, remembered);
        Ok(schema)
    }

    /// Users, active or not, and queues.
    pub(super) async fn list_owners(&self) -> Result<Vec<Owner>, Error> {
        const DOING: &str = "listing users and queues";
        let wrong = |why| not_a_name(DOING, &why);
        let users = Select::new(["Id", "Name", "Email", "IsActive"], "User").map_err(wrong)?;
        let queues = Select::new(["Id", "Name", "Email"], "Group").map_err(wrong)?;
        let queues = queues.and("Type = 'Queue'").tail("ORDER BY Id");
        let users = self.rows(&users.tail("ORDER BY Id"), Scope::Live, DOING).await?;
        let queues = self.rows(&queues, Scope::Live, DOING).await?;
        let users = users.iter().filter_map(|row| owner(row, false));
        Ok(users.chain(queues.iter().filter_map(|row| owner(row, true))).collect())
    }

    /// How many live records hold each value, blank under `""`.
    pub(super) async fn count(
        &self,
        object: &str,
        field: &str,
        values: &[String],
    ) -> Result<BTreeMap<String, u64>, Error> {
        let doing = format!("counting {object} by {field}");
        let wrong = |why| not_a_name(&doing, &why);
        let mut query = Select::new([field], object).map_err(wrong)?.column("COUNT(Id) records");
        if super::read::is_lead(object) {
            query = query.and(super::read::NOT_CONVERTED);
        }
        let query = query.tail(format!("GROUP BY {field}"));
        let rows = self.rows(&query, Scope::Live, &doing).await?;
        let mut counts: BTreeMap<_, _> = values.iter().map(|value| (value.clone(), 0)).collect();
        for row in &rows {
            let value = match wire::value(row, field) {
                Some(Raw::Text(text)) => text,
                Some(Raw::Number(number)) => number.to_string(),
                Some(Raw::Bool(truth)) => truth.to_string(),
                Some(Raw::Null) | None => String::new(),
            };
            let records = wire::column(row, "records").and_then(serde_json::Value::as_f64);
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a count")]
            let records = records.unwrap_or(0.0) as u64;
            *counts.entry(value).or_default() += records;
        }
        Ok(counts)
    }
}

fn owner(row: &Row, queue: bool) -> Option<Owner> {
    Some(Owner {
        id: wire::text(row, "Id").and_then(wire::id18)?,
        email: wire::text(row, "Email").filter(|email| !email.is_empty()).map(str::to_lowercase),
        name: wire::text(row, "Name").unwrap_or_default().to_owned(),
        active: queue || wire::truth(row, "IsActive"),
        queue,
        user: None,
    })
}
